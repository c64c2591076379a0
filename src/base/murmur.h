/* murmur.h - MurmurHash3 x86 32-bit by Austin Appleby (smhasher, public domain): the hash by which
 * flagd and Unleash divide users among variants. Not against anybody who means ill.
 */
#ifndef BASE_MURMUR_H
#define BASE_MURMUR_H

#include <stdint.h>

#include "base/slice.h"

uint32_t murmur3_32(struct slice s, uint32_t seed);

#endif
