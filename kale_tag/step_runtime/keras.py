"""Models of Keras 3: in its own format by themselves, else as they are, with what they share.

They need `definitions`.
"""

import copyreg, operator, os, re, shutil, types, zipfile


def is_keras(value):
    return any(kind.__name__ == "KerasSaveable" for kind in type(value).__mro__)


def has_own(archive):
    """Whether a model is made of definitions of this step."""
    with zipfile.ZipFile(archive) as file:
        names = re.findall(r"\w+", file.read("config.json").decode())
    own = {name for name, value in NS.items() if getattr(value, "__module__", "") == "__main__"}
    return any(NS[name] is not SHARED.get(name) for name in own.intersection(names))


def write_keras(value, file):
    classes = " ".join(f"{kind.__module__}.{kind.__name__}" for kind in type(value).__mro__)
    if not re.search(r"\bkeras\.\S*\.Model\b", classes):
        return None
    archive = file.name + ".keras"
    try:
        value.save(archive)
        if not is_keras(value) or not has_own(archive):
            os.replace(archive, file.name)
            return "keras"
        os.remove(archive)
    except Exception:  # it has no config
        if not is_keras(value):
            raise
    return None


def read_keras(file, _):
    import keras

    shutil.copy(file.name, file.name + ".keras")
    return keras.models.load_model(file.name + ".keras", custom_objects=NS, safe_mode=False)


def reduce_keras(_, value):
    """Its own way makes an archive of each model, in which nothing is shared with another."""
    kind = type(value)
    name = f"{kind.__module__}.{kind.__name__}"
    if is_keras(value):
        state, fresh = {**vars(value)}, vars(kind.__new__(kind))
        for key in vars(value):
            if isinstance(fresh.get(key), types.FunctionType):
                del state[key]  # a new one has its own
            elif key in ("train_function", "test_function", "predict_function"):
                state[key] = None  # Keras compiles them again
        if "_trainable_variables_indices" in state:
            known = value._trainable_variables
            keys = Made(map, value._var_key, known)
            state["_trainable_variables_indices"] = Made(dict, Made(zip, keys, range(len(known))))
        if isinstance(state.get("_nodes"), set):
            state["_nodes"] = Made(
                set,
                [
                    Made(operator.mod, "%s_ib-%s", (Made(id, one), number))
                    for one in value._operations
                    for number in range(len(one._inbound_nodes))
                    if f"{id(one)}_ib-{number}" in value._nodes
                ],
            )
        return copyreg.__newobj__, (kind,), state
    if name == "keras.src.utils.tracking.Tracker":
        ids = {key: Made(set, Made(map, id, stored)) for key, (_, stored) in value.config.items()}
        return copyreg.__newobj__, (kind,), {**vars(value), "stored_ids": ids}
    if name.startswith("keras.src.utils.tracking."):  # they ask for their tracker at once
        if isinstance(value, list):
            return kind, (), vars(value), iter(value)
        if isinstance(value, dict):
            return kind, (), vars(value), None, iter(value.items())
        return kind, (set(value),), vars(value)
    if name.endswith(".DynamicBackend"):
        return kind, (value._backend,)
    if name.endswith("._DefaultDistributionStrategy"):
        import tensorflow

        return tensorflow.distribute.get_strategy, ()
    return NotImplemented


WRITERS.append(write_keras)
REDUCERS.append(reduce_keras)
READERS.update(keras=read_keras)
