"""MaxSim in PyTorch over f32 vectors, for `tools/bench rerank`.

Reads a folder's values.f32, counts.i64, places.i64 and queries.f32, prints the milliseconds of every
query and writes scores.f32. Each query's candidates are padded to the longest of them before the clock
starts. Two ways are timed, one product of all padded vectors and a batched one; the faster counts.
"""

import sys
import time

import numpy
import torch

folder, dimension, tokens, depth, threads = sys.argv[1], *map(int, sys.argv[2:6])
torch.set_num_threads(threads)
counts = numpy.fromfile(folder + "/counts.i64", dtype=numpy.int64)
starts = numpy.concatenate([[0], numpy.cumsum(counts)])
values = numpy.memmap(folder + "/values.f32", dtype=numpy.float32, mode="r").reshape(-1, dimension)
places = numpy.fromfile(folder + "/places.i64", dtype=numpy.int64).reshape(-1, depth)
queries = numpy.fromfile(folder + "/queries.f32", dtype=numpy.float32).reshape(-1, tokens, dimension)


def one_product(query, padded, mask):
    products = (padded.view(-1, dimension) @ query.T).view(padded.shape[0], -1, tokens)
    return products.masked_fill_(mask.unsqueeze(-1), -9999.0).amax(1).sum(1)


def batched(query, padded, mask):
    products = query.unsqueeze(0) @ padded.transpose(1, 2)
    return products.masked_fill_(mask.unsqueeze(1), -9999.0).amax(2).sum(1)


times = []
scores = []
with torch.inference_mode():
    for number, query in enumerate(queries):
        query = torch.from_numpy(query)
        own = places[number]
        longest = int(counts[own].max())
        padded = torch.zeros(depth, longest, dimension)
        mask = torch.ones(depth, longest, dtype=torch.bool)
        for row, place in enumerate(own):
            padded[row, : counts[place]] = torch.from_numpy(
                numpy.array(values[starts[place] : starts[place + 1]])
            )
            mask[row, : counts[place]] = False
        best = float("inf")
        for way in (one_product, batched):
            for _ in range(3):
                start = time.perf_counter()
                result = way(query, padded, mask)
                best = min(best, time.perf_counter() - start)
        times.append(best * 1000)
        scores.append(result.numpy())
numpy.concatenate(scores).astype(numpy.float32).tofile(folder + "/scores.f32")
print(" ".join(f"{value:.4f}" for value in times))
