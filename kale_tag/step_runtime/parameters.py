"""The parameters of the pipeline that a step uses."""


def whole(text):
    number = float(text)
    return int(number) if number.is_integer() else number


def set_parameters():
    for name, kind in SPEC["params"].items():
        value = INPUTS.get("parameterValues", {}).get(ir_name(name, INPUTS))
        if kind[0] != "f":  # all numbers come as floats
            value = json.loads(json.dumps(value), parse_float=whole)
        elif type(value) is int:
            value = float(value)
        if type(value).__name__ not in kind:  # which may be "int or NoneType"
            raise StepError(f"takes {kind} for the parameter `{name}`, not {value!r}")
        default = SPEC.get("defaults", {}).get(name)
        NS[name] = default if default == value else value  # its keys in their order, 1.0 not 1
