"""One side of a book: functions over a sorted run of levels with slack at both ends."""

from cpython.mem cimport PyMem_RawRealloc
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memmove

from ext.change cimport Levels
from ext.fixed cimport rescale_mantissa

cdef enum:
    MERGED_MAX = 512           # levels written anew at once
    MERGE_REACH = 16           # levels between two changes that are still close together
    LADDER_CAPACITY_MIN = 64   # levels
    LINE_BYTES_MAX = 64        # of a checksum line: side, two numbers of at most 20 characters, separators

cdef int64_t _KEY_MAX = 0x7FFFFFFFFFFFFFFF


cdef inline Py_ssize_t _lower_bound(const int64_t* keys, Py_ssize_t low, Py_ssize_t high, int64_t key) noexcept nogil:
    """The first index in [low, high) whose key is not below `key`, or high."""
    cdef Py_ssize_t middle
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline Py_ssize_t _locate(const Ladder* ladder, Py_ssize_t hint, int64_t key) noexcept nogil:
    """Like _lower_bound over the whole ladder; cheap when the place is at or a little below `hint`."""
    cdef:
        const int64_t* keys = ladder.keys
        Py_ssize_t at = hint
        Py_ssize_t step = 4

    if at < ladder.end and keys[at] < key:
        return _lower_bound(keys, at + 1, ladder.end, key)
    if at > ladder.start and keys[ladder.start] >= key:
        return ladder.start  # what leaves the window or enters it there
    while at - step >= ladder.start and keys[at - step] >= key:
        at -= step
        step += step
    if step == 4 and at - 4 >= ladder.start:
        # The place is within these four; summing costs less than branches that cannot be predicted.
        return at - (keys[at - 1] >= key) - (keys[at - 2] >= key) - (keys[at - 3] >= key)
    return _lower_bound(keys, max(ladder.start, at - step), at, key)


cdef int _make_room(Ladder* ladder, Py_ssize_t count) noexcept nogil:
    """Room for `count` levels, those there are kept in the middle, so that both ends have slack; -1 without memory."""
    cdef:
        Py_ssize_t present = ladder.end - ladder.start
        Py_ssize_t capacity = ladder.capacity if ladder.capacity else LADDER_CAPACITY_MIN
        Py_ssize_t start
        int64_t* grown

    while capacity < 2 * count + LADDER_CAPACITY_MIN:
        capacity *= 2
    if capacity != ladder.capacity:
        grown = <int64_t*>PyMem_RawRealloc(ladder.keys, capacity * sizeof(int64_t))
        if grown == NULL:
            return -1
        ladder.keys = grown
        grown = <int64_t*>PyMem_RawRealloc(ladder.sizes, capacity * sizeof(int64_t))
        if grown == NULL:
            return -1
        ladder.sizes = grown
        ladder.capacity = capacity
    start = (capacity - present) >> 1
    memmove(ladder.keys + start, ladder.keys + ladder.start, present * sizeof(int64_t))
    memmove(ladder.sizes + start, ladder.sizes + ladder.start, present * sizeof(int64_t))
    ladder.start = start
    ladder.end = start + present
    return 0


cdef inline void _shift(Ladder* ladder, Py_ssize_t first, Py_ssize_t last, Py_ssize_t by) noexcept nogil:
    """Move levels [first, last) by `by` places."""
    memmove(ladder.keys + first + by, ladder.keys + first, (last - first) * sizeof(int64_t))
    memmove(ladder.sizes + first + by, ladder.sizes + first, (last - first) * sizeof(int64_t))


cdef inline int _insert(Ladder* ladder, Py_ssize_t* place, int64_t key, int64_t size) noexcept nogil:
    """Insert before *place, moving the shorter side; *place becomes the new level's index."""
    cdef:
        Py_ssize_t at = place[0]
        Py_ssize_t offset = at - ladder.start

    if ladder.start == 0 or ladder.end == ladder.capacity:
        if _make_room(ladder, ladder.end - ladder.start + 1) < 0:
            return -1
        at = ladder.start + offset
    if offset < ladder.end - at:
        if offset:
            _shift(ladder, ladder.start, at, -1)
        ladder.start -= 1
        at -= 1
    else:
        _shift(ladder, at, ladder.end, 1)
        ladder.end += 1
    ladder.keys[at] = key
    ladder.sizes[at] = size
    place[0] = at
    return 0


cdef inline void _remove(Ladder* ladder, Py_ssize_t* place) noexcept nogil:
    """Remove the level at *place, moving the shorter side; *place becomes the index of the next better level."""
    cdef Py_ssize_t at = place[0]
    if at - ladder.start < ladder.end - at - 1:
        if at > ladder.start:
            _shift(ladder, ladder.start, at, 1)
        ladder.start += 1
        place[0] = at + 1
    else:
        _shift(ladder, at + 1, ladder.end, -1)
        ladder.end -= 1


cdef Py_ssize_t _merge(
    Ladder* ladder, const Levels* levels, int sign, Py_ssize_t* place, uint64_t* absent
) noexcept nogil:
    """Apply the levels, as far as they stand best first and close together; return how many were applied.

    The venue sends them so. The top of the ladder, down to the last of them, is written anew in one pass, instead of
    being moved up and down once for each; what depends on a level's kind is computed, not branched on.
    """
    cdef:
        int64_t[MERGED_MAX] keys
        int64_t[MERGED_MAX] sizes
        Py_ssize_t free = MERGED_MAX
        Py_ssize_t at = ladder.end - 1
        Py_ssize_t start = ladder.start
        Py_ssize_t index = 0
        Py_ssize_t count = levels.count
        int64_t last = _KEY_MAX
        int64_t key, size
        bint found

    while index < count and free > MERGE_REACH:
        key = levels.prices[index] * sign
        size = levels.sizes[index]
        if key >= last or (at - MERGE_REACH >= start and ladder.keys[at - MERGE_REACH] > key):
            break
        while at >= start and ladder.keys[at] > key:
            free -= 1
            keys[free] = ladder.keys[at]
            sizes[free] = ladder.sizes[at]
            at -= 1
        found = at >= start and ladder.keys[at] == key
        at -= found
        absent[0] += (size == 0) & (not found)
        keys[free - 1] = key
        sizes[free - 1] = size
        free -= size != 0
        last = key
        index += 1
    at += 1
    count = MERGED_MAX - free
    memcpy(ladder.keys + at, keys + free, count * sizeof(int64_t))
    memcpy(ladder.sizes + at, sizes + free, count * sizeof(int64_t))
    ladder.end = at + count
    place[0] = at
    return index


cdef int update_levels(Ladder* ladder, const Levels* levels, int sign, uint64_t* absent) noexcept nogil:
    """Set or delete each level; count deletes of absent prices; -1 without memory."""
    cdef:
        Py_ssize_t index
        Py_ssize_t at
        int64_t key, size

    if ladder.end + levels.count >= ladder.capacity:
        if _make_room(ladder, ladder.end - ladder.start + levels.count) < 0:
            return -1
    index = _merge(ladder, levels, sign, &at, absent)
    while index < levels.count:
        key = levels.prices[index] * sign
        size = levels.sizes[index]
        at = _locate(ladder, at, key)
        if at < ladder.end and ladder.keys[at] == key:
            if size:
                ladder.sizes[at] = size
            else:
                _remove(ladder, &at)
        elif size:
            if _insert(ladder, &at, key, size) < 0:
                return -1
        else:
            absent[0] += 1
        index += 1
    return 0


cdef int replace_levels(Ladder* ladder, const Levels* levels, int sign) noexcept nogil:
    """Take the levels as the whole side, whatever their order; -1 without memory."""
    cdef:
        Py_ssize_t index
        Py_ssize_t count = levels.count
        uint64_t absent = 0

    ladder.start = ladder.end = 0
    if ladder.capacity < count and _make_room(ladder, count) < 0:
        return -1
    ladder.start = ladder.end = (ladder.capacity - count) >> 1
    for index in range(count - 1, -1, -1):
        if not levels.sizes[index] or (
            ladder.end > ladder.start and levels.prices[index] * sign <= ladder.keys[ladder.end - 1]
        ):
            break
        ladder.keys[ladder.end] = levels.prices[index] * sign
        ladder.sizes[ladder.end] = levels.sizes[index]
        ladder.end += 1
    else:
        return 0
    ladder.start = ladder.end = ladder.capacity >> 1
    return update_levels(ladder, levels, sign, &absent)


cdef bint holds_levels(const Ladder* ladder, const Levels* levels, int sign) noexcept nogil:
    """Whether each level already is as the message says; an absent level has size zero."""
    cdef:
        Py_ssize_t index
        Py_ssize_t at = ladder.end
        int64_t key

    for index in range(levels.count):
        key = levels.prices[index] * sign
        at = _locate(ladder, at, key)
        if at < ladder.end and ladder.keys[at] == key:
            if ladder.sizes[at] != levels.sizes[index]:
                return False
        elif levels.sizes[index]:
            return False
    return True


cdef bint can_widen_ladder(
    const Ladder* ladder, int price_scale, int price_target, int size_scale, int size_target
) noexcept nogil:
    cdef:
        Py_ssize_t index
        int64_t key, size

    for index in range(ladder.start, ladder.end):
        key = ladder.keys[index]
        size = ladder.sizes[index]
        if rescale_mantissa(&key, price_scale, price_target) < 0 or rescale_mantissa(&size, size_scale, size_target) < 0:
            return False
    return True


cdef void widen_ladder(Ladder* ladder, int64_t key_factor, int64_t size_factor) noexcept nogil:
    cdef Py_ssize_t index
    for index in range(ladder.start, ladder.end):
        ladder.keys[index] *= key_factor
        ladder.sizes[index] *= size_factor


cdef void copy_ladder(Ladder* target, const Ladder* source) except *:
    cdef Py_ssize_t count = source.end - source.start
    target.start = target.end = 0
    if _make_room(target, count) < 0:
        raise MemoryError()
    target.start = (target.capacity - count) >> 1
    target.end = target.start + count
    if count:
        memcpy(target.keys + target.start, source.keys + source.start, count * sizeof(int64_t))
        memcpy(target.sizes + target.start, source.sizes + source.start, count * sizeof(int64_t))


cdef int write_canonical(
    bytearray text, char side, const Ladder* ladder, int sign, int price_scale, int size_scale, Py_ssize_t depth
) except -1:
    """Append the canonical lines of one side."""
    cdef:
        char[LINE_BYTES_MAX] line
        char* at
        Py_ssize_t index
        Py_ssize_t last = ladder.start if depth <= 0 else max(ladder.start, ladder.end - depth)

    for index in range(ladder.end - 1, last - 1, -1):
        line[0] = side
        line[1] = c" "
        at = _write_number(line + 2, ladder.keys[index] * sign, price_scale)
        at[0] = c" "
        at = _write_number(at + 1, ladder.sizes[index], size_scale)
        at[0] = c"\n"
        text += line[:at + 1 - line]
    return 0


cdef char* _write_number(char* at, int64_t mantissa, int scale) noexcept nogil:
    """Write the plain number without trailing fraction zeros; return the end."""
    cdef:
        char[24] digits
        int count = 0

    if mantissa < 0:
        at[0] = c"-"
        at += 1
        mantissa = -mantissa
    while scale and mantissa % 10 == 0:
        mantissa //= 10
        scale -= 1
    while mantissa or count <= scale:
        digits[count] = <char>(c"0" + mantissa % 10)
        mantissa //= 10
        count += 1
    while count:
        count -= 1
        at[0] = digits[count]
        at += 1
        if scale and count == scale:
            at[0] = c"."
            at += 1
    return at
