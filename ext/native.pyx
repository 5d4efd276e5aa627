"""Typed column buffers that render as ClickHouse Native blocks.

A `Table` is made from the names and types of its columns; compiled code writes fixed-width cells straight into the
buffers, everything else goes through `Table.append`. The bytes depend on the rows alone: dictionaries of
LowCardinality columns start anew with each block.
"""

from decimal import Context, Decimal, Inexact, InvalidOperation

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.long cimport PyLong_AsLong
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

from ext.block cimport Block, Blocks
from ext.fixed cimport PARSE_OK, POW10, parse_text

cdef extern from *:
    """
    #include <string.h>
    static inline void native_store_product(char *out, int64_t mantissa, int64_t factor) {
        __int128 product = (__int128)mantissa * factor;
        memcpy(out, &product, sizeof product);
    }
    """
    void native_store_product(char* out, int64_t mantissa, int64_t factor) noexcept nogil

cdef enum:
    ROWS_MIN = 256
    DECIMAL_SCALE = 18
    # Version of the LowCardinality layout, and the flags "keys follow" and "dictionary is this block's own".
    DICTIONARY_VERSION = 1
    DICTIONARY_FLAGS = 0x600

DECIMAL_TYPE = f"Decimal(38, {DECIMAL_SCALE})"
DECIMAL_LIMIT = 10**38
EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])
WIDTHS = {
    "Int8": 1, "UInt8": 1, "Bool": 1, "Int16": 2, "UInt16": 2, "Int32": 4, "UInt32": 4, "Int64": 8, "UInt64": 8,
    DECIMAL_TYPE: 16,
}


cdef int put_scaled(char* out, int64_t mantissa, int scale) noexcept nogil:
    """Store mantissa / 10**scale as a Decimal(38, 18) cell of 16 bytes; 0, or -1 when the scale is above 18."""
    if scale > DECIMAL_SCALE:
        return -1
    native_store_product(out, mantissa, POW10[DECIMAL_SCALE - scale])
    return 0


cdef inline Py_ssize_t varint_size(uint64_t value) noexcept nogil:
    cdef Py_ssize_t size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size


cdef inline char* write_varint(char* out, uint64_t value) noexcept nogil:
    while value >= 0x80:
        out[0] = <char>(<uint8_t>(value | 0x80))
        out += 1
        value >>= 7
    out[0] = <char>(<uint8_t>value)
    return out + 1


cdef inline char* write_u64(char* out, uint64_t value) noexcept nogil:
    memcpy(out, &value, 8)
    return out + 8


cdef char* grown(char* data, Py_ssize_t* capacity, Py_ssize_t needed) except NULL:
    cdef Py_ssize_t size = max(needed, 2 * capacity[0], <Py_ssize_t>ROWS_MIN)
    cdef char* moved = <char*>realloc(data, size)
    if moved == NULL:
        raise MemoryError(f"a column of {size} bytes does not fit into memory")
    capacity[0] = size
    return moved


cdef bytes prefixed(str text):
    cdef bytes raw = text.encode()
    cdef char[10] size
    return size[: write_varint(size, len(raw)) - size] + raw


def native_header(columns):
    """A block without rows, of any column types.

    Args:
        columns: (name, ClickHouse type) pairs.
    """
    cdef char[10] size
    cdef bytes header = size[: write_varint(size, len(columns)) - size] + b"\0"
    return header + b"".join([prefixed(name) + prefixed(type) for name, type in columns])


cdef class Column:
    """One column: its name, its ClickHouse type and the cells so far."""

    def __cinit__(self, str name, str type, *_):
        self.name = name
        self.type = type
        self._header = prefixed(name) + prefixed(type)

    cdef int reserve(self, Py_ssize_t rows) except -1:
        raise NotImplementedError

    cdef int put(self, Py_ssize_t row, object value) except -1:
        raise NotImplementedError

    cdef Py_ssize_t size(self, Py_ssize_t rows) except -1:
        raise NotImplementedError

    cdef char* write(self, char* out, Py_ssize_t rows) noexcept:
        return out

    cdef void clear(self):
        pass


cdef class Fixed(Column):
    """Cells of a fixed width: integers, Enum8, Bool, DateTime64 (ticks since the epoch) and Decimal(38, 18)."""

    def __init__(self, str name, str type):
        self._members = enum_members(type) if type.startswith("Enum8(") else None
        self._is_decimal = type == DECIMAL_TYPE
        if self._members is not None:
            self.width = 1
        elif type.startswith("DateTime64("):
            self.width = 8
        elif type in WIDTHS:
            self.width = WIDTHS[type]
        else:
            raise ValueError(f"column {name}: type was {type}; a fixed-width type is one of {', '.join(WIDTHS)}, "
                             "Enum8 or DateTime64")

    def __dealloc__(self):
        free(self.data)

    cdef int reserve(self, Py_ssize_t rows) except -1:
        if rows * self.width > self._capacity:
            self.data = grown(self.data, &self._capacity, rows * self.width)
        return 0

    cdef int put(self, Py_ssize_t row, object value) except -1:
        cdef char* cell = self.data + row * self.width
        cdef int64_t number
        if self._is_decimal:
            memcpy(cell, PyBytes_AS_STRING(value if isinstance(value, bytes) else decimal_cell(value)), 16)
            return 0
        if self._members is not None and isinstance(value, str):
            if value not in self._members:
                raise ValueError(f"column {self.name}: value was {value!r}; the members are {', '.join(self._members)}")
            value = self._members[value]
        number = <int64_t>(<uint64_t>value) if value > 0x7FFFFFFFFFFFFFFF else value
        memcpy(cell, &number, self.width)
        return 0

    cdef Py_ssize_t size(self, Py_ssize_t rows) except -1:
        return rows * self.width

    cdef char* write(self, char* out, Py_ssize_t rows) noexcept:
        memcpy(out, self.data, rows * self.width)
        return out + rows * self.width


cdef class Text(Column):
    """String cells, kept as they are sent: a length and the bytes."""

    def __init__(self, str name, str type):
        self._ends = Fixed(name, "Int64")

    def __dealloc__(self):
        free(self._data)

    cdef int reserve(self, Py_ssize_t rows) except -1:
        return self._ends.reserve(rows)

    cdef int put_raw(self, Py_ssize_t row, const char* text, Py_ssize_t size) except -1:
        cdef int64_t* ends = <int64_t*>self._ends.data
        cdef Py_ssize_t start = ends[row - 1] if row else 0
        cdef Py_ssize_t end = start + varint_size(size) + size
        if end > self._capacity:
            self._data = grown(self._data, &self._capacity, end)
        memcpy(write_varint(self._data + start, size), text, size)
        ends[row] = end
        return 0

    cdef int put(self, Py_ssize_t row, object value) except -1:
        cdef Py_ssize_t size
        cdef const char* text
        if isinstance(value, bytes):
            return self.put_raw(row, PyBytes_AS_STRING(value), len(<bytes>value))
        text = PyUnicode_AsUTF8AndSize(value, &size)
        return self.put_raw(row, text, size)

    cdef Py_ssize_t size(self, Py_ssize_t rows) except -1:
        return (<int64_t*>self._ends.data)[rows - 1] if rows else 0

    cdef char* write(self, char* out, Py_ssize_t rows) noexcept:
        cdef Py_ssize_t size = (<int64_t*>self._ends.data)[rows - 1] if rows else 0
        memcpy(out, self._data, size)
        return out + size


cdef class Recent:
    """What was looked up lately, found again by the identity of its key: a few instructions instead of a dictionary.

    A key goes where its address says and displaces the one that was there; it is held, so that no other object can
    have its address.
    """

    def __cinit__(self):
        self.clear()

    cdef void put(self, object key, object value):
        cdef Py_ssize_t at = recent_slot(key)
        self.keys[at] = key
        self.values[at] = value

    cdef void clear(self):
        self.keys = [None] * RECENT_SLOTS
        self.values = [None] * RECENT_SLOTS


ctypedef fused Id:
    uint8_t
    uint16_t
    uint32_t


cdef char* narrowed(Id* out, const uint32_t* ids, Py_ssize_t rows) noexcept nogil:
    cdef Py_ssize_t row
    for row in range(rows):
        out[row] = <Id>ids[row]
    return <char*>(out + rows)


cdef class Symbols(Column):
    """LowCardinality(String): a dictionary of the block's own, in order of first use, and an index a row."""

    def __init__(self, str name, str type):
        self._ids = Fixed(name, "UInt32")
        self._keys = Text(name, "String")
        self._known = {}
        self._recent = Recent()

    cdef int reserve(self, Py_ssize_t rows) except -1:
        return self._ids.reserve(rows)

    cdef int put_text(self, Py_ssize_t row, str text) except -1:
        cdef PyObject* recent = self._recent.get(text)
        (<uint32_t*>self._ids.data)[row] = PyLong_AsLong(<object>recent) if recent is not NULL else self._id(text)
        return 0

    cdef uint32_t _id(self, str text) except? 0xFFFFFFFF:
        known = self._known.get(text)
        if known is None:
            known = len(self._known)
            self._keys.reserve(known + 1)
            self._keys.put(known, text)
            self._known[text] = known
        self._recent.put(text, known)
        return known

    cdef int put(self, Py_ssize_t row, object value) except -1:
        return self.put_text(row, value)

    cdef int _id_width(self) noexcept:
        cdef Py_ssize_t count = len(self._known)
        return 1 if count <= 0x100 else 2 if count <= 0x10000 else 4

    cdef Py_ssize_t size(self, Py_ssize_t rows) except -1:
        return 32 + self._keys.size(len(self._known)) + rows * self._id_width() if rows else 0

    cdef char* write(self, char* out, Py_ssize_t rows) noexcept:
        cdef int width = self._id_width()
        cdef const uint32_t* ids = <const uint32_t*>self._ids.data
        if rows == 0:
            return out
        out = write_u64(out, DICTIONARY_VERSION)
        out = write_u64(out, DICTIONARY_FLAGS | (width >> 1))
        out = write_u64(out, len(self._known))
        out = self._keys.write(out, len(self._known))
        out = write_u64(out, rows)
        if width == 1:
            return narrowed(<uint8_t*>out, ids, rows)
        if width == 2:
            return narrowed(<uint16_t*>out, ids, rows)
        return narrowed(<uint32_t*>out, ids, rows)

    cdef void clear(self):
        self._known.clear()
        self._recent.clear()


cdef class Optional(Column):
    """Nullable of a fixed-width type; None is NULL."""

    def __init__(self, str name, str type):
        self.nulls = Fixed(name, "UInt8")
        self.values = Fixed(name, inner_type(type))

    cdef int reserve(self, Py_ssize_t rows) except -1:
        self.nulls.reserve(rows)
        return self.values.reserve(rows)

    cdef int put(self, Py_ssize_t row, object value) except -1:
        self.nulls.data[row] = value is None
        if value is None:
            memset(self.values.data + row * self.values.width, 0, self.values.width)
            return 0
        return self.values.put(row, value)

    cdef Py_ssize_t size(self, Py_ssize_t rows) except -1:
        return self.nulls.size(rows) + self.values.size(rows)

    cdef char* write(self, char* out, Py_ssize_t rows) noexcept:
        return self.values.write(self.nulls.write(out, rows), rows)


cdef class List(Column):
    """Array of a fixed-width type or of String."""

    def __init__(self, str name, str type):
        self._ends = Fixed(name, "Int64")
        self._items = make_column(name, inner_type(type))

    cdef int reserve(self, Py_ssize_t rows) except -1:
        return self._ends.reserve(rows)

    cdef int64_t* room(self, Py_ssize_t row, Py_ssize_t count) except NULL:
        """Give the row `count` 8-byte items and return where to write them."""
        cdef int64_t* ends = <int64_t*>self._ends.data
        cdef Py_ssize_t start = ends[row - 1] if row else 0
        cdef Fixed items = <Fixed>self._items
        if (start + count + 1) * 8 > items._capacity:
            items.reserve(start + count + 1)
        ends[row] = start + count
        return <int64_t*>items.data + start

    cdef int put(self, Py_ssize_t row, object value) except -1:
        cdef int64_t* ends = <int64_t*>self._ends.data
        cdef Py_ssize_t end = ends[row - 1] if row else 0
        self._items.reserve(end + len(value))
        for item in value:
            self._items.put(end, item)
            end += 1
        ends[row] = end
        return 0

    cdef Py_ssize_t size(self, Py_ssize_t rows) except -1:
        return self._ends.size(rows) + self._items.size((<int64_t*>self._ends.data)[rows - 1]) if rows else 0

    cdef char* write(self, char* out, Py_ssize_t rows) noexcept:
        if rows == 0:
            return out
        return self._items.write(self._ends.write(out, rows), (<int64_t*>self._ends.data)[rows - 1])


cdef class Pairs(Column):
    """Map(String, String) from a dict, in its order."""

    def __init__(self, str name, str type):
        self._keys = List(name, "Array(String)")
        self._values = List(name, "Array(String)")

    cdef int reserve(self, Py_ssize_t rows) except -1:
        self._keys.reserve(rows)
        return self._values.reserve(rows)

    cdef int put(self, Py_ssize_t row, object value) except -1:
        self._keys.put(row, value.keys())
        return self._values.put(row, value.values())

    cdef Py_ssize_t size(self, Py_ssize_t rows) except -1:
        return self._keys.size(rows) + self._values.size(rows) - self._values._ends.size(rows)

    cdef char* write(self, char* out, Py_ssize_t rows) noexcept:
        if rows == 0:
            return out
        return self._values._items.write(self._keys.write(out, rows), (<int64_t*>self._values._ends.data)[rows - 1])


cdef str inner_type(str type):
    return type[type.index("(") + 1 : len(type) - 1]


cdef dict enum_members(str type):
    members = {}
    for member in inner_type(type).split(","):
        name, _, number = member.partition("=")
        members[name.strip().strip("'")] = int(number)
    return members


def decimal_cell(value):
    """The 16 bytes of a Decimal(38, 18) cell.

    Args:
        value: Decimal or decimal text.

    Raises:
        ValueError: not a finite number, or one with more than 20 digits before or 18 after the point.
    """
    cdef Py_ssize_t size
    cdef const char* text
    cdef int64_t mantissa
    cdef int scale
    cdef char[16] cell
    if isinstance(value, str):
        text = PyUnicode_AsUTF8AndSize(value, &size)
        if parse_text(text, size, &mantissa, &scale) == PARSE_OK and put_scaled(cell, mantissa, scale) == 0:
            return cell[:16]
    try:
        scaled = Decimal(value).scaleb(DECIMAL_SCALE, EXACT)
        number = int(scaled)
    except (ArithmeticError, ValueError):
        number = None
    if number is None or number != scaled or not -DECIMAL_LIMIT < number < DECIMAL_LIMIT:
        raise ValueError(f"number was {str(value)[:60]!r}; {DECIMAL_TYPE} holds 20 digits before the point, "
                         f"{DECIMAL_SCALE} after it")
    return number.to_bytes(16, "little", signed=True)


cdef Column make_column(str name, str type):
    if type == "String":
        return Text(name, type)
    if type == "LowCardinality(String)":
        return Symbols(name, type)
    if type == "Map(String, String)":
        return Pairs(name, type)
    if type.startswith("Nullable("):
        return Optional(name, type)
    if type.startswith("Array("):
        return List(name, type)
    return Fixed(name, type)


cdef class Table:
    """Rows of one table since the last `take`.

    Args:
        name: for messages.
        columns: (name, ClickHouse type) of each column, in the order of the block.
    """

    def __init__(self, str name, columns):
        self.name = name
        self._blocks = Blocks()
        self._columns = {column: make_column(column, type) for column, type in columns}

    cdef Py_ssize_t begin(self) except -1:
        """The number of the next row, with room for it in every column; `rows += 1` makes it count."""
        cdef Column column
        if self.rows == self._capacity:
            for column in self._columns.values():
                column.reserve(max(ROWS_MIN, 2 * self.rows))
            self._capacity = max(ROWS_MIN, 2 * self.rows)
        return self.rows

    cdef Fixed fixed(self, str name, int width):
        cdef Fixed column = self._columns[name]
        if column.width != width:
            raise ValueError(f"column {self.name}.{name}: type was {column.type}, {column.width} bytes; "
                             f"the code writes {width} bytes")
        return column

    cpdef object append(self, dict values):
        """Append one row.

        Args:
            values: a value for every column: int for integers and DateTime64 (ticks), str or int for Enum8, Decimal,
                decimal text or `decimal_cell` bytes for Decimal, None for NULL.

        Raises:
            KeyError: a column has no value. ValueError: a value does not fit its column. No row is appended then.
        """
        cdef Py_ssize_t row = self.begin()
        cdef Column column
        for column in self._columns.values():
            column.put(row, values[column.name])
        self.rows += 1

    cpdef Block take(self):
        """The rows as one Native block; the table is empty afterwards. Its memory is used again once nobody holds it."""
        cdef Column column
        cdef Py_ssize_t size = varint_size(len(self._columns)) + varint_size(self.rows)
        cdef Block block
        cdef char* out
        for column in self._columns.values():
            size += len(column._header) + column.size(self.rows)
        block = self._blocks.empty(size)
        out = write_varint(write_varint(block.data, len(self._columns)), self.rows)
        for column in self._columns.values():
            memcpy(out, PyBytes_AS_STRING(column._header), len(column._header))
            out = column.write(out + len(column._header), self.rows)
        block.seal()
        self.clear()
        return block

    cpdef object clear(self):
        """Drop the rows and keep the memory."""
        cdef Column column
        for column in self._columns.values():
            column.clear()
        self.rows = 0
