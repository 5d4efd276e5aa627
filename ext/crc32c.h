/* CRC32C (Castagnoli): by instruction where the processor has one, else by tables, eight bytes a step.
 *
 * Each function continues from `crc`; start with 0. `crc32c_chosen` is the fastest one here, found at its first call.
 */
#ifndef TAPEHEAD_CRC32C_H
#define TAPEHEAD_CRC32C_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tapehead: the spool is little-endian, and so must the machine be"
#endif

#define CRC32C_POLYNOMIAL 0x82F63B78u /* reflected */

typedef uint32_t (*crc32c_function)(uint32_t crc, const void *data, size_t size);

static uint32_t crc32c_tables[8][256];

static void crc32c_fill_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) ? CRC32C_POLYNOMIAL : 0);
        crc32c_tables[0][byte] = crc;
    }
    for (int row = 1; row < 8; row++)
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint32_t crc = crc32c_tables[row - 1][byte];
            crc32c_tables[row][byte] = (crc >> 8) ^ crc32c_tables[0][crc & 0xFF];
        }
}

static uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *at = (const uint8_t *)data;
    if (crc32c_tables[0][1] == 0)
        crc32c_fill_tables();
    crc = ~crc;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        word ^= crc;
        crc = 0;
        for (int byte = 0; byte < 8; byte++)
            crc ^= crc32c_tables[7 - byte][(word >> (8 * byte)) & 0xFF];
    }
    for (; size > 0; at++, size--)
        crc = (crc >> 8) ^ crc32c_tables[0][(crc ^ *at) & 0xFF];
    return ~crc;
}

#if defined(__x86_64__)

#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc32c_instruction(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *at = (const uint8_t *)data;
    uint64_t state = (uint32_t)~crc;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        state = _mm_crc32_u64(state, word);
    }
    for (; size > 0; at++, size--)
        state = _mm_crc32_u8((uint32_t)state, *at);
    return ~(uint32_t)state;
}

static int crc32c_has_instruction(void)
{
    return __builtin_cpu_supports("sse4.2");
}

#elif defined(__aarch64__)

#include <arm_acle.h>
#if defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#if defined(__clang__)
__attribute__((target("crc")))
#else
__attribute__((target("+crc")))
#endif
static uint32_t crc32c_instruction(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *at = (const uint8_t *)data;
    crc = ~crc;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        crc = __crc32cd(crc, word);
    }
    for (; size > 0; at++, size--)
        crc = __crc32cb(crc, *at);
    return ~crc;
}

static int crc32c_has_instruction(void)
{
#if defined(__linux__)
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
#else
    return 1; /* every 64-bit Apple processor has it */
#endif
}

#else

static uint32_t crc32c_instruction(uint32_t crc, const void *data, size_t size)
{
    return crc32c_portable(crc, data, size);
}

static int crc32c_has_instruction(void)
{
    return 0;
}

#endif

static uint32_t crc32c_choose(uint32_t crc, const void *data, size_t size);

static crc32c_function crc32c_chosen = crc32c_choose;

static uint32_t crc32c_choose(uint32_t crc, const void *data, size_t size)
{
    crc32c_chosen = crc32c_has_instruction() ? crc32c_instruction : crc32c_portable;
    return crc32c_chosen(crc, data, size);
}

#endif
