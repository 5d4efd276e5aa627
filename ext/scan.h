/* Sixteen characters at a time: which of them are quotes, points, digits. Bit i stands for character i. */
#ifndef TAPEHEAD_SCAN_H
#define TAPEHEAD_SCAN_H

#include <stdint.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tapehead reads words of text as little-endian numbers; this machine is big-endian"
#endif

#if defined(__SSE2__)
#include <emmintrin.h>

static inline void scan_sixteen(const char *text, uint32_t *quotes, uint32_t *points, uint32_t *digits)
{
    const __m128i characters = _mm_loadu_si128((const __m128i *)text);
    const __m128i values = _mm_sub_epi8(characters, _mm_set1_epi8('0'));
    *quotes = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(characters, _mm_set1_epi8('"')));
    *points = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(characters, _mm_set1_epi8('.')));
    *digits = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(values, _mm_set1_epi8(9)), values));
}

/* The characters that end a plain string or do not belong into one: quote, backslash, "}", and all that is not printable ASCII. */
static inline uint32_t scan_not_plain(const char *text)
{
    const __m128i characters = _mm_loadu_si128((const __m128i *)text);
    __m128i found = _mm_cmplt_epi8(characters, _mm_set1_epi8(' ')); /* signed: also everything above ASCII */
    found = _mm_or_si128(found, _mm_cmpeq_epi8(characters, _mm_set1_epi8('"')));
    found = _mm_or_si128(found, _mm_cmpeq_epi8(characters, _mm_set1_epi8('\\')));
    found = _mm_or_si128(found, _mm_cmpeq_epi8(characters, _mm_set1_epi8('}')));
    found = _mm_or_si128(found, _mm_cmpeq_epi8(characters, _mm_set1_epi8(0x7F)));
    return (uint32_t)_mm_movemask_epi8(found);
}

#else

static inline uint32_t scan_not_plain(const char *text)
{
    uint32_t found = 0;
    for (int index = 0; index < 16; index++) {
        const unsigned char character = (unsigned char)text[index];
        const int plain = character >= ' ' && character < 0x7F && character != '"' && character != '\\' && character != '}';
        found |= (uint32_t)!plain << index;
    }
    return found;
}

static inline void scan_sixteen(const char *text, uint32_t *quotes, uint32_t *points, uint32_t *digits)
{
    uint32_t found_quotes = 0, found_points = 0, found_digits = 0;
    for (int index = 0; index < 16; index++) {
        const char character = text[index];
        found_quotes |= (uint32_t)(character == '"') << index;
        found_points |= (uint32_t)(character == '.') << index;
        found_digits |= (uint32_t)(character >= '0' && character <= '9') << index;
    }
    *quotes = found_quotes;
    *points = found_points;
    *digits = found_digits;
}

#endif

static inline void scan_thirty_two(const char *text, uint32_t *quotes, uint32_t *points, uint32_t *digits)
{
    uint32_t more_quotes, more_points, more_digits;
    scan_sixteen(text, quotes, points, digits);
    scan_sixteen(text + 16, &more_quotes, &more_points, &more_digits);
    *quotes |= more_quotes << 16;
    *points |= more_points << 16;
    *digits |= more_digits << 16;
}

#endif
