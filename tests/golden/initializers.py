"""Prints the golden values of initializers_test.cpp: Box and Muller on Philox4x32-10, both written anew, with Python's own
floats and C library (3.11)."""
import math


def philox(counter, key):
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    c = [counter & 0xFFFFFFFF, counter >> 32 & 0xFFFFFFFF, 0, 0]
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [p1 >> 32 ^ c[1] ^ k0, p1 & 0xFFFFFFFF, p0 >> 32 ^ c[3] ^ k1, p0 & 0xFFFFFFFF]
        k0, k1 = k0 + 0x9E3779B9 & 0xFFFFFFFF, k1 + 0xBB67AE85 & 0xFFFFFFFF
    return c


def unit(word):
    return (word + 0.5) / 2**32


normals = []
for draw in range(2):
    words = philox(draw, 0x1234567890ABCDEF)
    for u, v in ((words[0], words[1]), (words[2], words[3])):
        radius = math.sqrt(-2 * math.log(unit(u)))
        normals += [radius * math.cos(2 * math.pi * unit(v)), radius * math.sin(2 * math.pi * unit(v))]
print(", ".join(f"{x:.12g}" for x in normals[:6]))
