"""Pairs of different bytes with one XXH3 checksum, made at will: why a checksum never is an identity.

In an input longer than 240 bytes XXH3 folds 64-byte stripes into eight 64-bit lanes: lane += swapped neighbour + low32(word ^ secret) ×
high32(word ^ secret). A word whose low half equals the secret's makes the product zero, so its high half only enters as a sum, through
the neighbour. Two such words in one lane of one 1,024-byte block may trade any amount between their high halves, and nobody notices.
The secret is the 192-byte constant published with XXH3.
"""

import random
import struct

SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
_BLOCK, _STRIPE = 1024, 64


def pair(length: int, seed: int) -> tuple[bytes, bytes]:
    """Two different inputs of `length` (more than 240) bytes with the same XXH3-64 and XXH3-128."""
    source = random.Random(seed)
    data = bytearray(source.randbytes(length))
    stripes = (length - _STRIPE) // _STRIPE  # the last 64 bytes are hashed once more, as a stripe of their own: stay out of them
    block = source.randrange((stripes - 2) // 16 + 1)
    inside = min(16, stripes - 16 * block)
    first, second = source.sample(range(inside), 2)
    lane = source.randrange(8)
    places = [block * _BLOCK + stripe * _STRIPE + lane * 8 for stripe in (first, second)]
    for stripe, place in zip((first, second), places, strict=True):
        data[place : place + 4] = SECRET[8 * stripe + 8 * lane : 8 * stripe + 8 * lane + 4]
    amount = source.randrange(1, 1 << 32)
    other = bytearray(data)
    for place, change in zip(places, (amount, -amount), strict=True):
        [word] = struct.unpack_from("<I", other, place + 4)
        struct.pack_into("<I", other, place + 4, (word + change) % (1 << 32))
    return bytes(data), bytes(other)
