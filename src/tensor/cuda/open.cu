/* The door of the CUDA backend: a library of its own, loaded where it is there, so that hiss itself runs without CUDA. */
#include "tensor/cuda/products.h"

#include <stdio.h>

#include "hiss.h"
#include "tensor/device.h"

#define EXPORTED extern "C" __attribute__((visibility("default")))

cudaStream_t cuda_stream;
int chosen_device;
int hiss_multiprocessors;
int hiss_shared_bytes;

static void (*fail_with)(int code, const char *message);
static char device_name[256];
static device table;

void cuda_check(cudaError_t result, const char *what) {
    if (result == cudaSuccess) return;
    char message[512];
    bool full = result == cudaErrorMemoryAllocation;
    (void) cudaGetLastError(); /* so that the next check does not meet it again */
    snprintf(message, sizeof message, "GPU: %s: %s%s", what, cudaGetErrorString(result),
             full ? " (take a smaller batch or a shorter length, or --device cpu)" : "");
    fail_with(full ? HISS_ERROR_MEMORY : HISS_ERROR_INTERNAL, message);
}

static void fill_memory(device *d) {
    d->take = cuda_take;
    d->give = cuda_give;
    d->upload = cuda_upload;
    d->download = cuda_download;
    d->copy = cuda_copy;
    d->clear = cuda_clear;
    d->convert = cuda_convert;
    d->wait = cuda_wait;
}

static void fill_rows(device *d) {
    d->map_rows = cuda_map_rows;
    d->sum_rows = cuda_sum_rows;
    d->norm_sums = cuda_norm_sums;
    d->norm_part = cuda_norm_part;
    d->copy_blocks = cuda_copy_blocks;
    d->return_blocks = cuda_return_blocks;
    d->repeat_rows = cuda_repeat_rows;
    d->sum_repeated = cuda_sum_repeated;
    d->weighted_mean = cuda_weighted_mean;
    d->weighted_spread = cuda_weighted_spread;
    d->gather_rows = cuda_gather_rows;
    d->scatter_rows = cuda_scatter_rows;
    d->turn = cuda_turn;
    d->depthwise = cuda_depthwise;
    d->depthwise_weights = cuda_depthwise_weights;
}

static void fill_products(device *d) {
    d->matmul = cuda_matmul;
    d->unfold = cuda_unfold;
    d->fold = cuda_fold;
    d->attend = cuda_attend;
    d->attend_back = cuda_attend_back;
    d->loss_sum = cuda_loss_sum;
    d->loss_slope = cuda_loss_slope;
    d->sum_squares = cuda_sum_squares;
    d->adam = cuda_adam;
    d->swap = cuda_swap;
}

/* --- what there is --- */

static bool fine(cudaError_t result, const char *what, char why[256]) {
    if (result == cudaSuccess) return true;
    (void) cudaGetLastError();
    snprintf(why, 256, "%s: %s", what, cudaGetErrorString(result));
    return false;
}

/* How many GPUs there are; 0 with the reason in why. */
EXPORTED int hiss_cuda_count(char why[256]) {
    int count = 0, driver = 0;
    why[0] = 0;
    /* Without a driver this says 0, where all other calls blame its age. */
    if (cudaDriverGetVersion(&driver) == cudaSuccess && driver == 0) {
        snprintf(why, 256, "there is no NVIDIA driver");
        return 0;
    }
    if (!fine(cudaGetDeviceCount(&count), "looking for a GPU", why)) return 0;
    if (count == 0) snprintf(why, 256, "the driver knows no GPU");
    return count;
}

/* One line for people: "NVIDIA H100 80GB HBM3, 79.1 GiB, compute capability 9.0". */
EXPORTED void hiss_cuda_describe(int index, char text[256]) {
    cudaDeviceProp p;
    if (!fine(cudaGetDeviceProperties(&p, index), "asking about a GPU", text)) return;
    snprintf(text, 256, "%.180s, %.1f GiB, compute capability %d.%d", p.name, (double) p.totalGlobalMem / (1 << 30),
             p.major, p.minor);
}

/* --- opening --- */

/* Blocks given back stay in the pool: no wait and no system call when they are taken again. */
static cudaError_t keep_memory(int index) {
    cudaMemPool_t pool;
    uint64_t threshold = UINT64_MAX;
    cudaError_t result = cudaDeviceGetDefaultMemPool(&pool, index);
    if (result != cudaSuccess) return result;
    return cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold);
}

static bool prepare(int index, cudaDeviceProp *p, char why[256]) {
    return fine(cudaSetDevice(index), "choosing the GPU", why) &&
           fine(cudaGetDeviceProperties(p, index), "asking about the GPU", why) &&
           fine(keep_memory(index), "setting up its memory", why) &&
           fine(cudaStreamCreateWithFlags(&cuda_stream, cudaStreamNonBlocking), "making a stream", why);
}

/* A kernel that was not compiled for this GPU fails here, not in the middle of work. */
__global__ static void nothing_kernel(void) {}

static bool runs_here(char why[256]) {
    nothing_kernel<<<1, 1, 0, cuda_stream>>>();
    return fine(cudaGetLastError(), "starting a first kernel", why) &&
           fine(cudaStreamSynchronize(cuda_stream), "running a first kernel", why);
}

EXPORTED const device *hiss_cuda_open(int index, void (*fail)(int, const char *), char why[256]) {
    cudaDeviceProp p;
    int count = hiss_cuda_count(why);
    if (count == 0) return NULL;
    if (index < 0 || index >= count) {
        snprintf(why, 256, "there is no GPU %d; they are numbered from 0 to %d", index, count - 1);
        return NULL;
    }
    fail_with = fail;
    chosen_device = index;
    if (!prepare(index, &p, why) || !runs_here(why)) return NULL;
    hiss_multiprocessors = p.multiProcessorCount;
    hiss_shared_bytes = (int) p.sharedMemPerBlockOptin;
    snprintf(device_name, sizeof device_name, "%s", p.name);
    table.name = device_name;
    table.memory = (int64_t) p.totalGlobalMem;
    table.bf16 = p.major >= 8;
    fill_memory(&table);
    fill_rows(&table);
    fill_products(&table);
    return &table;
}
