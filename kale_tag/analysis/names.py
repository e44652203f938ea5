"""Names that code has without binding them."""

import builtins

# Names that came with Python 3.12 to 3.14 or may be taken away again, so that the result does not
# depend on the Python that compiles.
_LATER = frozenset(
    ["PythonFinalizationError", "BaseExceptionGroup", "ExceptionGroup", "WindowsError"]
)

BUILTINS = (
    frozenset(dir(builtins))
    | _LATER
    | {"__name__", "__doc__", "__spec__", "__loader__", "__package__", "__annotations__"}
    | {"__builtins__", "copyright", "credits", "exit", "license", "quit"}
) - {"_"}
"""Names of Python itself, of any version."""

PROVIDED = frozenset(["display", "get_ipython"])
"""Names that IPython has and `step_runtime.py` provides."""
