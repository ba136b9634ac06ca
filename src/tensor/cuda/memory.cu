/* The device's memory, in the order of its one stream: a block that was given back may be taken again at once, as what used it
 * before runs before. Free blocks are kept in lists by size class, a quarter power of two, which costs less than asking CUDA's
 * pool; when that is empty they all go back to it.
 *
 * Uploads go through a ring of page-locked memory: the host's bytes are copied there at once, so the caller may change its own,
 * and only a ring that is full of copies under way makes the host wait. */
#include "tensor/cuda/products.h"

#include <string.h>

#include <unordered_map>
#include <vector>

enum { SEGMENTS = 4, SEGMENT_BYTES = 16 << 20, UNIT = 512 };

static struct {
    char *memory; /* [SEGMENTS, SEGMENT_BYTES], page-locked; made by the first upload */
    cudaEvent_t left[SEGMENTS];
    int segment;
    size_t at; /* bytes of the segment in use */
} ring;

static struct {
    void *memory;
    size_t bytes;
} scratch;

static struct {
    std::vector<void *> free[4 * 48]; /* by class */
    std::unordered_map<void *, int> class_of;
} blocks;

static size_t up_to(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

/* --- blocks --- */

/* CUDA keeps the chosen GPU for each thread of the host; every operation takes memory before it does anything else. */
static void choose_device(void) {
    static thread_local bool chosen;
    if (!chosen) cuda_check(cudaSetDevice(chosen_device), "choosing the GPU");
    chosen = true;
}

/* Rounds up to 2^k * {4, 5, 6, 7} / 4 and numbers that size. */
static int size_class(size_t *bytes) {
    size_t size = up_to(*bytes ? *bytes : 1, UNIT);
    int k = 63 - __builtin_clzll((unsigned long long) size);
    size_t quarter = (size_t) 1 << (k - 2), steps = (size - ((size_t) 1 << k) + quarter - 1) / quarter;
    *bytes = ((size_t) 1 << k) + steps * quarter;
    return 4 * k + (int) steps;
}

static void give_all_back(void) {
    for (std::vector<void *> &list : blocks.free) {
        for (void *data : list) {
            blocks.class_of.erase(data);
            (void) cudaFreeAsync(data, cuda_stream);
        }
        list.clear();
    }
}

void *cuda_take(size_t bytes) {
    void *data = NULL;
    choose_device();
    int number = size_class(&bytes);
    std::vector<void *> &list = blocks.free[number];
    if (!list.empty()) {
        data = list.back();
        list.pop_back();
        return data;
    }
    cudaError_t result = cudaMallocAsync(&data, bytes, cuda_stream);
    if (result == cudaErrorMemoryAllocation) {
        (void) cudaGetLastError();
        give_all_back();
        result = cudaMallocAsync(&data, bytes, cuda_stream);
    }
    cuda_check(result, "taking memory");
    blocks.class_of[data] = number;
    return data;
}

void cuda_give(void *data) {
    if (data) blocks.free[blocks.class_of[data]].push_back(data);
}

void *cuda_scratch(size_t bytes) {
    if (bytes <= scratch.bytes) return scratch.memory;
    cuda_give(scratch.memory);
    scratch.memory = NULL;
    scratch.bytes = 0;
    /* Half as much again, so that slowly growing problems do not ask each time. */
    size_t wanted = up_to(bytes + bytes / 2, UNIT);
    scratch.memory = cuda_take(wanted);
    scratch.bytes = wanted;
    return scratch.memory;
}

/* --- moving --- */

static void open_ring(void) {
    if (ring.memory) return;
    for (int i = 0; i < SEGMENTS; i++)
        if (!ring.left[i])
            cuda_check(cudaEventCreateWithFlags(&ring.left[i], cudaEventDisableTiming), "making an event");
    cuda_check(cudaHostAlloc((void **) &ring.memory, (size_t) SEGMENTS * SEGMENT_BYTES, cudaHostAllocDefault),
               "taking page-locked memory");
}

/* On to the next segment, once the copies out of it are done. An event that was never recorded is done. */
static void next_segment(void) {
    cuda_check(cudaEventRecord(ring.left[ring.segment], cuda_stream), "marking an upload");
    ring.segment = (ring.segment + 1) % SEGMENTS;
    ring.at = 0;
    cuda_check(cudaEventSynchronize(ring.left[ring.segment]), "an upload");
}

/* One core copies slower than the bus to the device. */
static void copy_by_threads(char *to, const char *from, size_t bytes) {
    enum { SLICE = 1 << 20, COPIERS = 6 };
    const int64_t slices = (int64_t) ((bytes + SLICE - 1) / SLICE);
#pragma omp parallel for schedule(static) num_threads(COPIERS) if (slices >= COPIERS)
    for (int64_t i = 0; i < slices; i++) {
        const size_t first = (size_t) i * SLICE, rest = bytes - first;
        memcpy(to + first, from + first, rest < SLICE ? rest : SLICE);
    }
}

void cuda_upload(void *to, const void *host, size_t bytes) {
    open_ring();
    for (size_t done = 0; done < bytes;) {
        if (ring.at == SEGMENT_BYTES) next_segment();
        size_t room = SEGMENT_BYTES - ring.at, piece = bytes - done < room ? bytes - done : room;
        char *staged = ring.memory + (size_t) ring.segment * SEGMENT_BYTES + ring.at;
        copy_by_threads(staged, (const char *) host + done, piece);
        cuda_check(cudaMemcpyAsync((char *) to + done, staged, piece, cudaMemcpyHostToDevice, cuda_stream),
                   "an upload");
        ring.at = up_to(ring.at + piece, UNIT); /* SEGMENT_BYTES is a multiple of it */
        done += piece;
    }
}

void cuda_download(void *host, const void *from, size_t bytes) {
    if (bytes) cuda_check(cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, cuda_stream), "a download");
    cuda_wait();
}

void cuda_copy(void *to, const void *from, size_t bytes) {
    if (bytes && to != from)
        cuda_check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, cuda_stream), "a copy");
}

void cuda_clear(void *to, size_t bytes) {
    if (bytes) cuda_check(cudaMemsetAsync(to, 0, bytes, cuda_stream), "clearing memory");
}

void cuda_wait(void) { cuda_check(cudaStreamSynchronize(cuda_stream), "waiting for the GPU"); }
