"""Arrays of NumPy; frames and series of pandas, where parquet gives the very same back."""

import contextlib, io, sys


def write_table(value, file):
    numpy, pandas = map(sys.modules.get, ("numpy", "pandas"))
    if numpy and (type(value) is numpy.ndarray or isinstance(value, numpy.generic)):
        array = type(value) is numpy.ndarray
        if value.dtype.kind in ("biufcmMSU" if array else "biufcmM"):
            numpy.save(file, value, allow_pickle=False)
            return "fixed npy" if array and not value.flags.writeable else "npy"
    if pandas and type(value) in (pandas.DataFrame, pandas.Series) and not value.attrs:
        with contextlib.suppress(Exception):
            # Only a name that is a text comes back as it was.
            frame = value if value.ndim == 2 else value.to_frame(value.name + "")
            for column in (frame.index, *(frame[name] for name in frame)):
                text = pandas.api.types.infer_dtype(column, skipna=False) == "string"
                if column.dtype == "category" or (column.dtype == object and not text):
                    return None
            some, head = frame.head(100), io.BytesIO()
            some.to_parquet(head, engine="pyarrow")
            pandas.testing.assert_frame_equal(
                pandas.read_parquet(head, engine="pyarrow"),
                some,
                check_exact=True,
                check_index_type="exact",
                check_column_type="exact",
            )
            frame.to_parquet(file, engine="pyarrow")
            return "parquet"
    return None


def read_array(file, kind):
    import numpy

    array = numpy.load(file, allow_pickle=False)
    return array if kind == "numpy.ndarray" else array[()]


def read_fixed(file, kind):
    array = read_array(file, kind)
    array.flags.writeable = False
    return array


def read_frame(file, kind):
    import pandas

    frame = pandas.read_parquet(file, engine="pyarrow")
    return frame.iloc[:, 0] if kind.endswith("Series") else frame


WRITERS.append(write_table)
READERS.update({"npy": read_array, "fixed npy": read_fixed, "parquet": read_frame})
