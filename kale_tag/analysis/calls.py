"""What calls do to what they are given: which are known to read only, which to change it.

Python does not say whether `x.m()` changes `x`. What is not listed here may. The lists are read
from the documentation of the libraries that notebooks use most; see `Change` for what they decide.
"""

from enum import IntEnum


class Change(IntEnum):
    """How sure it is that code changes the object of a variable."""

    NONE = 0
    MAYBE = 1  # it is given to code that is not known
    LIKELY = 2  # by a method that is known to change its object
    SURE = 3  # by assignment


def words(text: str) -> frozenset[str]:
    """The words of a text, of which a table is easier to read than of a list."""
    return frozenset(text.split())


READERS = words(
    # containers and text
    "copy count get index items keys values join split strip lstrip rstrip lower upper title"
    " replace"
    " startswith endswith format encode decode find rfind isdigit isalpha splitlines"
    " capitalize zfill"
    " union intersection difference issubset issuperset"
    # numpy and pandas; `inplace=True` is looked at where it is given
    " abs agg aggregate all any apply applymap argmax argmin argsort assign astype between corr"
    " corrwith cov cummax cummin cumprod cumsum describe diff dot drop_duplicates dropna"
    " dtypes duplicated equals explode ffill bfill filter first flatten get_group groupby head hist"
    " idxmax idxmin info interpolate isin isna isnull item iterrows itertuples join kurt last"
    " map max"
    " mean median melt memory_usage merge min mode nlargest notna notnull nsmallest nunique pivot"
    " pivot_table plot prod quantile query rank ravel reindex resample reset_index rolling round"
    " sample select_dtypes set_index shape shift size skew sort_index sort_values std str sum tail"
    " to_csv to_dict to_excel to_frame to_html to_json to_list to_markdown to_numpy to_parquet"
    " to_pickle to_records to_sql to_string tobytes tolist transpose unique unstack stack"
    " value_counts var where mask clip xs boxplot scatter"
    # models
    " predict predict_proba predict_log_proba decision_function score transform inverse_transform"
    " get_params evaluate summary state_dict save save_model save_weights get_feature_names_out"
    " get_feature_names parameters named_parameters numpy"
)
"""Methods that leave their object and their arguments as they are."""

CHANGERS = words(
    "append extend insert pop remove clear sort reverse add discard update setdefault popitem"
    " appendleft popleft extendleft rotate fill resize put itemset partition shuffle setflags"
    " fit fit_transform partial_fit fit_predict fit_generator train compile set_params load_weights"
    " load_state_dict zero_grad backward add_module write writelines"
)
"""Methods that change their object, and not what they are given."""

PURE = words(
    "abs all any ascii bin bool bytes callable chr complex dict display divmod enumerate"
    " filter float"
    " format frozenset getattr hasattr hash help hex id int isinstance issubclass iter len list map"
    " max min oct ord pow print range repr reversed round set slice sorted str sum tuple type vars"
    " zip"
)
"""Built-in functions that leave their arguments as they are."""

PURE_MODULES = words(
    "bisect collections copy datetime functools glob itertools json logging math matplotlib numpy"
    " operator os pandas pathlib pickle joblib plotly pprint re scipy seaborn sklearn statistics"
    " string sys time wordcloud yaml"
)
"""Modules whose functions leave their arguments as they are, but for those of `SPOILERS`."""

SPOILERS = words(
    "numpy.random.shuffle numpy.fill_diagonal numpy.put numpy.place numpy.putmask numpy.copyto"
    " numpy.put_along_axis random.shuffle heapq.heappush heapq.heappop heapq.heapify"
    " heapq.heappushpop heapq.heapreplace bisect.insort bisect.insort_left bisect.insort_right"
    " operator.delitem operator.iadd operator.iconcat operator.setitem setattr delattr next"
)
"""Functions that change their first argument (the heap and the bisection theirs, too)."""

SPOILING_METHODS = words("readinto recv_into shuffle")
"""Methods that change what they are given: `rng.shuffle(x)`."""

UFUNCS = words(
    "add subtract multiply divide true_divide floor_divide power mod maximum minimum"
    " logical_and logical_or bitwise_and bitwise_or"
)
"""Functions of numpy that fill the third array they are given."""

FILLED = words("ax axes buf cax file fp out random_state rng stream")
"""Keywords of what a function writes to, draws on or takes numbers from."""

TYPES = words("bytearray dict list set")
"""Types whose methods may be called with the object in front: `list.append(rows, 1)`."""

FRESH = READERS - {
    "get",
    "item",
    "values",
    "items",
    "first",
    "last",
    "parameters",
    "get_group",
    "copy",
    "numpy",
    "ravel",
    "transpose",
} | words("read readline readlines")
"""Methods whose result shares nothing with their object that could be changed through it."""

SHARERS = words(
    "dict enumerate filter getattr iter list map max min reversed set sorted tuple vars zip"
    " copy.copy functools.partial functools.reduce"
    # views of arrays
    " numpy.array_split numpy.asanyarray numpy.asarray numpy.ascontiguousarray numpy.asfortranarray"
    " numpy.atleast_1d numpy.atleast_2d numpy.broadcast_to numpy.diagonal numpy.expand_dims"
    " numpy.flip numpy.frombuffer numpy.hsplit numpy.moveaxis numpy.ravel numpy.real"
    " numpy.reshape numpy.rot90 numpy.split numpy.squeeze numpy.swapaxes numpy.transpose"
    " numpy.vsplit pandas.DataFrame pandas.Series"
)
"""Pure functions whose result may be one of their arguments, or hold a part of it."""

_SHARING_MODULES = words("collections itertools operator")

_VOLATILE = words(
    "enumerate filter iter map open reversed zip"
    " collections.defaultdict csv.DictReader csv.reader glob.iglob gzip.open io.BytesIO"
    " io.StringIO io.open os.scandir re.finditer tempfile.TemporaryFile"
    " random.Random numpy.random.Generator numpy.random.RandomState numpy.random.default_rng"
    " torch.Generator"
    " matplotlib.pyplot.axes matplotlib.pyplot.figure matplotlib.pyplot.gca matplotlib.pyplot.gcf"
    " matplotlib.pyplot.subplot"
)

PAIR = "matplotlib.pyplot.subplots"
"""What gives a figure and axes: each of them is volatile, not only the pair."""

AXES = words("add_axes add_subplot gca subplots twinx twiny")
"""Methods that give the axes of a figure."""

PLOTS = words("boxplot hist plot scatter")
"""Methods that draw their object, and give the axes."""

_CONTAINERS = words(
    "copy.copy dict list set sorted collections.Counter collections.OrderedDict"
    " collections.defaultdict collections.deque json.load json.loads yaml.safe_load"
)


def of_function(path: str) -> Change | None:
    """What the function of that dotted *path* does to its first argument; None: not known."""
    if path in SPOILERS or (path.startswith("numpy.") and path.endswith(".at")):
        return Change.LIKELY
    if path in PURE or ("." in path and path.partition(".")[0] in PURE_MODULES):
        return Change.NONE
    return None


def of_method(name: str, *, inplace: bool | None) -> Change | None:
    """What a method of that name does to its object; None: not known."""
    if inplace is not None:
        return Change.LIKELY if inplace else Change.NONE
    if name in CHANGERS or (name.endswith("_") and not name.endswith("__")):  # PyTorch: `add_`
        return Change.LIKELY
    return Change.NONE if name in READERS else None


def shares(path: str) -> bool:
    """Whether the result of a pure function may be one of its arguments, or hold a part of it."""
    return path in SHARERS or path.partition(".")[0] in _SHARING_MODULES


def is_volatile(path: str) -> bool:
    """Whether the function of that *path* gives what changes when it is used in any way.

    Iterators are used up, files and buffers move on, generators of random numbers draw, a
    `defaultdict` fills itself, axes are drawn on by whoever is given them.
    """
    if path.startswith("seaborn."):
        return path.endswith(("plot", "map", "grid"))
    return path in _VOLATILE or (path.startswith("itertools.") and path != "itertools.tee")


def is_container(path: str) -> bool:
    """Whether the function gives a container, of which `copy()` is a shallow copy."""
    return path in _CONTAINERS
