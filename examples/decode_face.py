"""Decodes a compact face in Python, with numpy and onnxruntime alone:

    cameo export synthesis -o synthesis.onnx
    python decode_face.py face.safetensors synthesis.onnx FACE.cameo FACE.png

`face.safetensors` is the weights file of the codec. This decoder reads .cameo and .cameo.bare files, as docs/bitstream.md describes them; names
and steps are those of that page.
"""

import base64
import json
import math
import struct
import sys
import zlib

import numpy as np

TABLES = """gain unit order mean scale shapeClass referenceCount references weights predictionGain scaleShift contextWeights
contextPrior contextTable magnitudeWeight magnitudeExpected shapes deadZone""".split()


class Refused(ValueError):
    """The bytes are no face that this model decodes."""


def need(condition, what):
    if not condition:
        raise Refused(what)


# --- The weights file ---


def read_safetensors(data):
    """The metadata, and the tensors by name. Tensors of 8 bits become whole ones."""
    size = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8 : 8 + size])
    metadata = header.pop("__metadata__", {})
    types = {"F32": "<f4", "F16": "<f2", "I8": "i1"}
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = np.frombuffer(data[8 + size + begin : 8 + size + end], types[entry["dtype"]])
        tensors[name] = values.astype(np.float32).reshape(entry["shape"])
    if "cameo.int8" in metadata:
        for name in [key[:-5] for key in tensors if key.endswith(".int8")]:
            # Rounded once: the product of an integer and a float32 is exact in double precision.
            whole = (tensors.pop(f"{name}.int8").astype(np.float64) * tensors.pop(f"{name}.scale")).astype(np.float32)
            half = tensors.pop(f"{name}.half", None)
            tensors[name] = whole if half is None else np.concatenate([half, whole], -1)
    return metadata, tensors


def crc_of_network(tensors):
    """The CRC-32 of the network's tensors as a safetensors file without metadata."""
    names = sorted(name for name in tensors if name != "latentOrder" and not name.startswith("latents."))
    end, members = 0, []
    for name in names:
        begin, end = end, end + 4 * tensors[name].size
        shape = ",".join(map(str, tensors[name].shape))
        members.append(f'{json.dumps(name)}:{{"dtype":"F32","shape":[{shape}],"data_offsets":[{begin},{end}]}}')
    header = "{" + ",".join(members) + "}"
    header = header.ljust(-(-len(header) // 8) * 8).encode()
    crc = zlib.crc32(struct.pack("<Q", len(header)) + header)
    for name in names:
        crc = zlib.crc32(np.ascontiguousarray(tensors[name], "<f4").tobytes(), crc)
    return crc


# --- The range decoder ---


class RangeDecoder:
    def __init__(self, data):
        self.data = data
        self.taken = 0
        self.range = 0xFFFFFFFF
        self.code = 0
        for _ in range(4):
            self.code = self.code * 256 + self.next()
        need(self.code != 0xFFFFFFFF, "the code begins with ffffffff")

    def next(self):
        self.taken += 1
        return self.data[self.taken - 1] if self.taken <= len(self.data) else 0

    def target(self):
        self.part = self.range // 65536
        return min(65535, self.code // self.part)

    def take(self, start, size):
        self.code -= self.part * start
        self.range = self.range - self.part * start if start + size == 65536 else self.part * size
        while self.range < 2**24:
            self.range *= 256
            self.code = self.code * 256 + self.next()

    def bit(self):
        b = int(self.target() >= 32768)
        self.take(32768 * b, 32768)
        return b

    def golomb(self, order):
        length = order + 1
        while self.bit():
            length += 1
            need(length <= 18, "a number is too long")
        value = 1
        for _ in range(length - 1):
            value = 2 * value + self.bit()
        return value - 2**order

    def end(self):
        """Checks that the string is the shortest one of its symbols."""
        data = self.data
        need(len(data) <= self.taken, "bytes follow the code")
        need(not data or data[-1] != 0, "the code ends with 0")
        v = 0
        for i in range(self.taken - 4, self.taken):
            v = v * 256 + (data[i] if i < len(data) else 0)
        low = (v - self.code) % 2**32
        power = 2**32
        while -(-low // power) * power > low + self.range - 1:
            power //= 2
        need(-(-low // power) * power % 2**32 == v, "the end is not the simplest")


# --- The distribution of a symbol ---

M = [16384, 17867, 19484, 21247, 23170, 25268, 27554, 30048]


def pow8(e):
    return math.ldexp(M[e % 8], e // 8 - 14)


def clamp(x, low, high):
    return low if x < low else high if x > high else x


def rounded(x):
    return math.floor(x + 0.5)


REACH = [clamp(math.ceil(10 * pow8(scale - 32)) + 1, 2, 1024) for scale in range(96)]
ENTRIES = [rounded(4 * 65536 * pow8(32 - scale)) for scale in range(96)]
ESCAPE = [clamp((scale - 32) // 8, 0, 7) for scale in range(96)]


def decode_symbol(decoder, shape, scale, mean, inner, outer):
    centre = (mean + 8) // 16
    reach = REACH[scale]

    def border(symbol):
        middle = 16 * symbol - 8
        if symbol == 1:
            return middle + inner
        if symbol > 1:
            return middle + outer
        return middle - inner if symbol == 0 else middle - outer

    def tail(x):
        at = x * ENTRIES[scale]
        i = at // 65536
        if i >= 1023:
            return shape[1023]
        return shape[i] - (shape[i] - shape[i + 1]) * (at - 65536 * i) // 65536

    def below(d):
        if d <= -reach:
            return 0
        if d > reach:
            return 65536
        edge = border(centre + d) - mean
        mass = tail(-edge) if edge < 0 else 1048576 - tail(edge)
        return mass * (65536 - 2 * reach - 1) // 1048576 + d + reach

    target = decoder.target()
    low, high = -reach, reach + 1  # below(low) ≤ target < below(high)
    while high - low > 1:
        d = (low + high) // 2
        low, high = (d, high) if below(d) <= target else (low, d)
    start = below(low)
    size = below(low + 1) - start
    need(size > 0, "an interval is empty")
    decoder.take(start, size)
    more = decoder.golomb(ESCAPE[scale]) if abs(low) == reach else 0
    symbol = centre + low + (more if low >= 0 else -more)
    need(abs(symbol) <= 32767, "a symbol is too large")
    return symbol


# --- The symbols of a face ---

L = [0, 1, 2, 2, 3, 4, 4, 5, 5, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 11, 12, 12, 13, 13, 14, 14, 14, 15, 15, 15, 16]
NEXT = [0, 2, 2, 0, 1, 3, 3, 1]


def log16(v):
    e = v.bit_length() - 1
    return 16 * e + L[32 * v // 2**e % 32]


def around(a, p, height, width):
    """The sum over the up to eight neighbours of position p."""
    y, x = divmod(p, width)
    rows = range(max(0, y - 1), min(height, y + 2))
    columns = range(max(0, x - 1), min(width, x + 2))
    return sum(a[v * width + u] for v in rows for u in columns) - a[p]


def beside(a, p, width):
    """The weighted sum over positions that were decoded before p in this channel."""
    x = p % width
    total = 2 * a[p - 1] if x > 0 else 0
    if p >= width:
        total += 2 * a[p - width]
        if x > 0:
            total += a[p - width - 1]
        if x < width - 1:
            total += a[p - width + 1]
    mirror = p - x + (width - 1 - x)
    return total + a[mirror] if mirror < p - 1 else total


# --- The detail layer ---

BLOCKS, ROWS, COLUMNS = 168, 14, 12


def signed(text):
    return np.frombuffer(base64.b64decode(text), np.int8).astype(int).tolist()


FREQUENCY = signed(
    """
EQsLCgoLDAsLDQ4MDQ0OEA4NDQ0ODw8ODQ0NDg0ODw0NDQsNDQ0PDAkMDAwMDAsNDQoGBgUKCwQKCQgICAcCBwoKCgQFA/j6+vjz8vPy9PLv7+
/v8vHv7e7t7vDz7u3s7Ozt8u7s7O7s7O3t6+zq6+zt6+rq7Ozq6evr6erq6ewMCAcAAQD19vf28PDw8PPw7e7u7vDv7evt7Ozt8ezs6+vr6+/t
6+vr6urr6+rq6urq6+rq6err6ejr6ujp6Ojp
"""
)
POSITION = signed(
    """
AAICAwIBAQMDAgICAQEBAQD//wABAQEBAQD//v39/v7+AAEBAgD//v39/f7+AAABAQD//f39/f7//v8AAQABAgD9/QECAQD/AAACBgX+/wUHAg
AB/wAAAQD9/gAB/wABAP///f38/P7+/v//AAD+/f4AAP/+/f8BAP///v4AAP///gEBAAD//wIDAwL//gEBAAEA/v3///7//wABAQD/AP/+/v8A
AAEBAAABAQAAAAABAAAA/wAAAAD//wAAAAAA//8A//7+/v///wAA/////v7+/v7//////wAAAP/+//8AAAAA/wAAAQD//wABAAAAAAABAgEAAA
ICAQEAAAAAAAAAAAABAAAAAAD//wAAAAD//wAAAAD//wABAQD//wAAAAAA/wABAQH//wAAAAAAAAIDAwIAAAEAAAAAAAAAAAAAAAEAAAEBAQD/
/wAAAAEA
"""
)
ODDS = signed(
    """
AAAAAAAAAAwNDQESJREI/wIHCwwJCAgJBgYHCAUDAv8AAgAAAAAAANIBBAEF/vcB//f2/v7/+vgAAgIEAf8CAQQCAwEFCQEGAQMZCAMOBwweDh
AGEhcOBwwPLSstFgQpEBQPERIULhHc9vsZFxhDPjs3KDYwNS4QDRwdEQoJCQsJBggG/QUCBQUDAAP9AQEAAQEAAAEAAf4AAAEAAQAAAAD+AAAA
AAAADAP//vz59/QGAf38+ff49wYA/Pz69/f6Av/7+/j29/T/+/r5+Pb19f/7+fr5+Pf3/fj3+Pn39/f59PX19vf08yEWEAkEAAAABQoSFQoQCw
QCAQABAQcKDQUICAUC/f37/v8FCgQFBAL//fr5+vwABvT5+fr7+vn39/j7/uzx8PT19vb29fb3+urv6+3v8PLy8vP09+zx8Ovr6+zu8PDx8/r6
9vLp5+nr7O3v8AAC8uvp7+bp6err7AALHRUNCgkKAgAAAQIBAQIEBwQAAAD8/QABAwUDAAAA+Pj//wAC/gAAAP71+/39/wIAAAAA9fv7/P32AA
AAAPX2+/v6AQAAAAD66vr49wAAAAogGQ4KBgQLAAAA/QT/AwYHCAAAAQL8+wIEBgMAAAH3+vT9AwT6AAAA+fbw+gIDAgAAAP/x6vX9APkAAAAA
6+fx+/34AAAAAO7n7vb5/gAJCQYEAgMB/wAWEA8JBQL++wAAAAAAAAAAAAQIFggXLys4LxoEDwoGAgUA/fr7+/r7/fYAAAAAAAD9DA0MEQ4JEx
IMCxMVEw4KFhYWFwwHDxgYGhkI/gkTFxUSBPYLAQIOCvTpDfjo+vPtBcrRyuDysMrS1r7Tza3J/wkL+RP629rj3QMD0wvvAgIDAADp8QACAAIA
AgIAAgAAAQAABAAAAAAAAAAAAAACAAAAAAAAAAAAAgAAAAAAAAYTCgYC+/PsBBAJBQP99fkEDwcEAPz2+AEMBwMA/fj1/wgEAf/8+Pb9BAD9/f
v69/n+/vv6+vf29Pr59/f49PQVDBANCwYDAP77+O4QDw8ODgkHBQH+8/YEEBEPCQsIBAL7/f4SDQ0PDQoGAwL++PoJBAcICggGBAEA/fsJCgUK
BgcEAwD//fkBAAYHBwMBAP/+/Pn3//f7/wH//fz7+fn9+gjyAfz6+vn5+PgAAO/25/T49PX29fQAAAYpGAgB/AcAAAAPJBwLBQH/AAAACxsTBQ
H+9AAAAAYlDwQA/vMAAAD9FAkB/fv7AAAAAAgC/fz7AwAAAADu/Pr5+gIAAAAA9gf1+Pn7AAAAAvoVCQYC9gAAAAMiFwgC//cAAAAEKRYGAgH+
AAAAARgVBgD+AwAAABcOEQP9/AEAAAACEQsA+/oPAAAAAA8E+vj69QAAAAAVBPX09v4ABf0DAQIB///+AwoHBwIA/PwAAAAAAAAAAAAGEwcAEB
oPHRwSDBMPBwEGAwH/Af37+/b7AAAAAAAA/AEF/Af/9gUF+vgICQn89QkKDQv4/goPDhANAgcTFhEVFQ4FFxMJExADARkE/gUBBxr2+PUC/N3n
7fbi9/Pj7v0AAfUS9dv26hsAACkABwAAAAAACQYAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAFFQ8KBgP+8wsLDQ
wHBAABCBQLCQUBAPIGDAoJBQD/+QUFCAYCAQD4AQIFBP8A//j++v0B/vv++Pf0+vv39/jzGAkTExUOBwEG/gAWIvgBFwYNBgsG+fbzDgUKEAsH
CgYFC+7n/gwXDwcECAYEA/70Cw4OBgMIBggFBf/2Dv0ACAYFBgYHBQL5JAMeBwsFBAQEAwH9GgEVCQMDBAH/Af//A/3l7gYKAP7//f39AADn9O
H9BPn4+fj4AAADGiAQAff1AAAABgULBgwJAQAAAAYZEhAIBhcAAAAK/QwFAwQQAAAABhMOBAEBCQAAAAANA////vcAAAAA+wT++/3gAAAAAO/+
9fb4+wAAAAAPDAoEBwEAAAAGABYNCAgRAAAABgAPCwYJAQAAABQaFAkEBQMAAAAABwwHAwLoAAAAABMNBQD+8QAAAAD0BQH9+QkAAAAAChH69/
TjAAUHAAD/AP338ggNBgIE/vv1
"""
)
CHANCES = [
    22, 23, 25, 27, 28, 30, 32, 34, 36, 39, 41, 44, 47, 50, 53, 56, 60, 64, 68, 72,
    77, 82, 87, 92, 98, 105, 111, 119, 126, 134, 143, 152, 162, 172, 184, 195, 208, 221, 236, 251,
    267, 284, 302, 321, 342, 364, 387, 412, 439, 467, 497, 528, 562, 598, 636, 677, 720, 766, 815, 867,
    922, 980, 1042, 1109, 1179, 1253, 1333, 1417, 1506, 1601, 1701, 1808, 1921, 2041, 2168, 2303, 2446, 2598, 2758, 2928,
    3108, 3298, 3500, 3713, 3938, 4176, 4427, 4692, 4971, 5266, 5577, 5904, 6249, 6611, 6992, 7392, 7812, 8252, 8714, 9197,
    9702, 10230, 10782, 11357, 11955, 12579, 13226, 13898, 14595, 15316, 16062, 16832, 17625, 18442, 19282, 20143, 21025, 21928, 22849, 23788,
    24743, 25712, 26695, 27689, 28693, 29705, 30723, 31744, 32768,
]
CHANCE = CHANCES + [65536 - chance for chance in CHANCES[-2::-1]]

# For each rank, the frequency along columns and the one along rows.
FREQUENCIES = sorted(((u, v) for u in range(8) for v in range(8)), key=lambda pair: (sum(pair), pair[0]))
RANK = {pair: rank for rank, pair in enumerate(FREQUENCIES)}
SUMS = [0, 1, 2, 3, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, 7]


def bucket(total):
    return SUMS[total] if total < 16 else 7


class DetailContexts:
    """What has been decoded of a layer, with a border of zeros around the blocks."""

    def __init__(self, planes):
        self.magnitudes = np.zeros((planes, 65, ROWS + 2, COLUMNS + 2), int)
        self.recent = None

    def entries(self, plane, rank, y, x, step):
        """The seven entries of the tables; y and x are the block's row and column, from 1."""
        u, v = FREQUENCIES[rank]
        all_ranks = self.magnitudes[plane]
        own = all_ranks[rank]
        prior = FREQUENCY[64 * plane + rank] + POSITION[BLOCKS * (plane > 0) + COLUMNS * (y - 1) + x - 1] - step + 52
        prior = clamp(prior >> 1, 0, 39)
        same = 2 * (own[y, x - 1] + own[y - 1, x]) + own[y - 1, x - 1] + own[y - 1, x + 1]
        lower = [RANK.get(pair, 64) for pair in [(u - 1, v), (u, v - 1), (u - 1, v - 1), (u - 2, v), (u, v - 2), (u - 1, v + 1)]]
        parts = [int(all_ranks[k, y, x]) for k in lower]
        near = bucket(2 * (parts[0] + parts[1]) + sum(parts[2:]))
        ring = sum(int(m[y, x - 1] + m[y, x + 1] + m[y - 1, x] + m[y + 1, x]) for m in all_ranks[lower[:2]])
        r = self.recent
        around = 2 * (r[y, x - 1] + r[y, x + 1] + r[y - 1, x] + r[y + 1, x])
        around += r[y - 1, x - 1] + r[y - 1, x + 1] + r[y + 1, x - 1] + r[y + 1, x + 1]
        recent_bucket = min(9, (log16(8 + min(1023, int(r[y, x]))) - 48) >> 3)
        around_bucket = min(11, (log16(16 + min(4095, int(around) >> 1)) - 64) >> 3)
        planes = 0
        if plane > 0:
            grey = self.magnitudes[0, rank]
            total = 2 * grey[y, x] + grey[y, x - 1] + grey[y, x + 1] + grey[y - 1, x] + grey[y + 1, x]
            if plane == 2:
                total += 3 * self.magnitudes[1, rank, y, x]
            planes = (1 if plane == 1 else 9) + bucket(int(total))
        return [
            prior,
            40 + 64 * (plane > 0) + rank,
            168 + 8 * near + bucket(int(same)),
            232 + 12 * recent_bucket + around_bucket,
            352 + 10 * bucket(ring) + (prior >> 2),
            432 + 10 * near + (prior >> 2),
            512 + planes,
        ]

    def add(self, plane, rank, y, x, symbol):
        magnitude = min(15, abs(symbol))
        self.magnitudes[plane, rank, y, x] = magnitude
        before = int(self.recent[y, x])
        self.recent[y, x] = before + 16 * magnitude - (before + 7) // 8


def decode_detail(decoder, grey):
    """The step of a detail layer, and its symbols [planes, ranks, blocks]."""
    planes = 1 if grey else 3

    def bits(count):
        unit = 65536 >> count
        value = decoder.target() // unit
        decoder.take(value * unit, unit)
        return value

    def decide(decision, entries):
        odds = clamp(sum(ODDS[529 * decision + entry] for entry in entries), -128, 128)
        chance = CHANCE[odds + 128]
        if decoder.target() < chance:
            decoder.take(0, chance)
            return True
        decoder.take(chance, 65536 - chance)
        return False

    step = bits(6)
    ranks = [bits(7) for _ in range(planes)]
    need(max(ranks) <= 64, "too many ranks")
    symbols = np.zeros((planes, 64, BLOCKS), np.int16)
    contexts = DetailContexts(planes)
    for plane in range(planes):
        contexts.recent = np.zeros((ROWS + 2, COLUMNS + 2), int)
        for rank in range(ranks[plane]):
            for block in range(BLOCKS):
                y, x = block // COLUMNS + 1, block % COLUMNS + 1
                entries = contexts.entries(plane, rank, y, x, step)
                symbol = 0
                if not decide(0, entries):
                    sign = -1 if bits(1) else 1
                    magnitude = 1
                    while magnitude < 3 and not decide(magnitude, entries):
                        magnitude += 1
                    if magnitude == 3:
                        magnitude += decoder.golomb(0)
                    need(magnitude <= 32767, "a symbol is too large")
                    symbol = sign * magnitude
                symbols[plane, rank, block] = symbol
                contexts.add(plane, rank, y, x, symbol)
        need(ranks[plane] == 0 or symbols[plane, ranks[plane] - 1].any(), "a rank of zeros at the end")
    return step, symbols


def detail_picture(step, symbols):
    """What a layer adds to the samples of a picture, [112, 96, 3]."""
    basis = np.array([[math.sqrt((2 if k else 1) / 8) * math.cos(math.pi * (2 * i + 1) * k / 16) for i in range(8)] for k in range(8)])
    planes = np.zeros((3, 112, 96))
    for plane, own in enumerate(symbols * (4 * pow8(step))):
        blocks = np.zeros((8, 8, ROWS, COLUMNS))
        for rank, (u, v) in enumerate(FREQUENCIES):
            blocks[u, v] = own[rank].reshape(ROWS, COLUMNS)
        planes[plane] = np.einsum("uvrc,uy,vx->rycx", blocks, basis, basis).reshape(112, 96)
    g, a, b = planes[0] / math.sqrt(3), planes[1] / math.sqrt(2), planes[2] / math.sqrt(6)
    return np.stack([g + a + b, g - 2 * b, g - a + b], -1)


class Model:
    """The tables of a weights file, and the ids of the models whose faces they decode."""

    def __init__(self, data):
        metadata, tensors = read_safetensors(data)
        # A file of tables alone has them without the prefix.
        bound = "latents.dimensions" in tensors
        prefix = "latents." if bound else ""
        self.height, self.width, self.channels, self.steps = map(int, tensors[f"{prefix}dimensions"])
        tables = {}
        for name in TABLES:
            values = tensors.get(prefix + name)
            tables[name] = [0] * 192 if values is None else [int(value) for value in values.reshape(-1)]
        self.tables = tables
        self.quantizers = 2 if len(tables["deadZone"]) == 384 else 1
        self.first_reference = np.concatenate([[0], np.cumsum(tables["referenceCount"])]).tolist()
        self.component = tensors["latentOrder"].astype(int) if bound else None
        plain = self.quantizers == 1 and not any(tables["deadZone"])
        integers = [self.height, self.width, self.channels, self.steps]
        for name in TABLES:
            if not (plain and name == "deadZone"):
                integers += tables[name]
        crc = zlib.crc32(np.array(integers, "<i4").tobytes())
        networks = [crc_of_network(tensors) if bound else 0]
        if bound and "cameo.quantized-from" in metadata:
            networks.append(int(metadata["cameo.quantized-from"], 16))
        self.ids = [zlib.crc32(struct.pack("<I", network), crc) if network else crc for network in networks]

    def decode_code(self, code, q, detail=None):
        """Symbols [height, width, channels] of a code, their values in half steps, and what `detail` reads after them."""
        t = self.tables
        height, width, channels = self.height, self.width, self.channels
        positions = height * width
        symbols = np.zeros((positions, channels), np.int16)
        points = np.zeros((positions, channels), int)
        decoder = RangeDecoder(code)
        value = []
        found_here, expected_here = [0] * positions, [0] * positions
        found_all = expected_all = state = 0
        for rank, c in enumerate(t["order"]):
            at = q * channels + c
            power = t["gain"][at] - t["unit"][c]
            means_per_unit, units_per_mean = 16 * pow8(power), pow8(-power) / 16
            found_around = [around(found_here, p, height, width) for p in range(positions)]
            expected_around = [around(expected_here, p, height, width) for p in range(positions)]
            found, expected = [0] * positions, [0] * positions
            context_weights = t["contextWeights"][4 * c : 4 * c + 4]
            for p in range(positions):
                latent = rank * positions + p
                # 1. The mean, predicted from earlier latents
                used = range(self.first_reference[latent], self.first_reference[latent + 1])
                predicted = sum(t["weights"][r] * value[t["references"][r]] for r in used)
                units = t["mean"][latent] + t["predictionGain"][at] * predicted // 262144
                m = clamp(rounded(clamp(units, -4194304, 4194304) * means_per_unit), -32768, 32768)
                # 2. The scale before the context adjusts it
                base = clamp(t["scale"][latent] + power + t["scaleShift"][at] + 32, 0, 95)
                # 3. The context
                sources = [
                    (beside(found, p, width), beside(expected, p, width)),
                    (found_here[p], expected_here[p]),
                    (found_around[p], expected_around[p]),
                    (found_all, expected_all),
                ]
                weighted = sum(
                    weight * (log16(prior + a) - log16(prior + b))
                    for weight, prior, (a, b) in zip(context_weights, t["contextPrior"], sources)
                )
                bucket = clamp(rounded(weighted / 128) + 24, 0, 48)
                adjusted = clamp(base + t["contextTable"][base // 8 * 49 + bucket], 0, 95)
                # 4. The shape and the borders
                band = 0 if adjusted < 16 else 1 if adjusted < 28 else 2 if adjusted < 44 else 3
                quantizer = state // 2
                row = 1024 * (4 * t["shapeClass"][latent] + band)
                borders = 192 * quantizer + base
                symbol = decode_symbol(
                    decoder,
                    t["shapes"][row : row + 1024],
                    adjusted,
                    m,
                    t["deadZone"][borders],
                    t["deadZone"][borders + 96],
                )
                # 5. Where the symbol lies, in half steps
                point = 2 * symbol
                if quantizer == 1 and symbol != 0:
                    point -= 1 if symbol > 0 else -1
                if self.quantizers == 2:
                    state = NEXT[2 * state + symbol % 2]
                symbols[p, c], points[p, c] = symbol, point
                # 6. What later predictions use
                middle = 8 * point
                v = rounded(clamp(m, middle - 3, middle + 3) * units_per_mean)
                value.append(clamp(v, -4194304, 4194304) - t["mean"][latent])
                # 7. What later contexts use
                found[p] = min(8192, abs(middle - m) * t["magnitudeWeight"][base] // 256)
                expected[p] = t["magnitudeExpected"][(quantizer * 96 + base) * 9 + abs((m + 8) % 16 - 8)]
            for p in range(positions):
                found_here[p] += found[p] - found_here[p] // 16
                expected_here[p] += expected[p] - expected_here[p] // 16
            found_all += sum(found)
            expected_all += sum(expected)
        layer = detail(decoder) if detail else None
        decoder.end()
        return symbols.reshape(-1), points.reshape(-1), layer

    def read(self, data):
        """The quantization index of a face, whether it is grey, its symbols, their values in half steps, and its layer."""
        bare = data[:1] in (b"\x10", b"\x20")
        header = 4 if bare else 10
        need(len(data) >= (6 if bare else 14) and (bare or data[:4] == b"\x9eCMF"), "not a face")
        version = data[0] >> 4 if bare else data[4]
        face = data[1 if bare else 5]
        q, detailed, grey = face & 63, face & 64 != 0, face >= 128
        need(version in (1, 2), f"version {version}, not 1 or 2")
        need(detailed == (version == 2) and q < self.steps, "the face byte")
        (stored,) = struct.unpack_from("<H" if bare else "<I", data, header - (2 if bare else 4))
        mask = 0xFFFF if bare else 0xFFFFFFFF
        known = [id for id in self.ids if id & mask == stored]
        need(known, "a face of another model")
        (checksum,) = struct.unpack_from("<H" if bare else "<I", data, header)
        code = data[6 if bare else 14 :]
        need(len(code) <= 65535, "the code is too long")
        symbols, points, detail = self.decode_code(code, q, (lambda d: decode_detail(d, grey)) if detailed else None)
        covered = data[:header] + struct.pack("<I", known[0]) + symbols.astype("<i2").tobytes()
        if detail:
            covered += bytes([detail[0]]) + detail[1].astype("<i2").tobytes()
        need(zlib.crc32(covered) & mask == checksum, "the checksum")
        return q, grey, symbols, points, detail


# --- The picture ---


class Decoder:
    """Decodes faces to pictures. The arguments are paths of the codec's weights, and of what `cameo export synthesis` wrote."""

    def __init__(self, weights, synthesis):
        import onnxruntime

        with open(weights, "rb") as file:
            self.model = Model(file.read())
        self.session = onnxruntime.InferenceSession(synthesis, providers=["CPUExecutionProvider"])

    def decode(self, data):
        """The picture of a face, [112, 96, 3] bytes RGB. Raises Refused for bytes that are none."""
        q, grey, _, points, detail = self.model.read(bytes(data))
        gain = self.model.tables["gain"][q * self.model.channels]
        values = np.zeros((1, len(points)), np.float32)
        values[0, self.model.component] = points / 2 * 2 ** (-gain / 8)
        picture = self.session.run(None, {"values": values, "q_index": np.array([[q]], np.float32)})[0][0]
        samples = np.floor(255.0 * np.clip(picture, 0, 1) + 0.5)
        if grey:
            samples[:] = np.floor(samples @ [0.299, 0.587, 0.114] + 0.5)[..., None]
        if detail:
            samples = np.clip(np.floor(samples + detail_picture(*detail) + 0.5), 0, 255)
        return samples.astype(np.uint8)


def write_png(path, picture):
    """Writes [height, width, 3] bytes as a PNG file."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = picture.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), picture.reshape(height, -1)], 1).tobytes()
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("usage: python decode_face.py WEIGHTS.safetensors SYNTHESIS.onnx FACE.cameo FACE.png")
    with open(sys.argv[3], "rb") as face_file:
        write_png(sys.argv[4], Decoder(sys.argv[1], sys.argv[2]).decode(face_file.read()))
