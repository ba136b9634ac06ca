# The CUDA backend, libhiss-cuda.so: a library of its own that hiss loads at run time where it is there, beside the program or
# where the libraries are, so that one build serves machines with and without a GPU.

if(HISS_CUDA STREQUAL "OFF" OR (HISS_CUDA STREQUAL "AUTO" AND (HISS_SANITIZE OR HISS_FUZZ)))
  return()
endif()

# Says why there is no CUDA backend: an error where it was asked for.
macro(hiss_without_cuda reason)
  if(HISS_CUDA STREQUAL "AUTO")
    message(STATUS "Without CUDA: ${reason}")
  else()
    message(FATAL_ERROR "HISS_CUDA is ${HISS_CUDA}, but ${reason}; docs/gpu.md says what to install")
  endif()
  return()
endmacro()

if(CMAKE_VERSION VERSION_LESS 3.18)
  hiss_without_cuda("CMake ${CMAKE_VERSION} is older than 3.18")
endif()
find_program(HISS_NVCC nvcc HINTS ENV CUDACXX ENV CUDA_PATH /usr/local/cuda/bin PATH_SUFFIXES bin)
if(NOT HISS_NVCC)
  hiss_without_cuda("nvcc was not found")
endif()

set(CMAKE_CUDA_ARCHITECTURES ${HISS_CUDA_ARCHITECTURES})
set(ENV{CUDACXX} ${HISS_NVCC})
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  hiss_without_cuda("${HISS_NVCC} does not work with the C++ compiler")
endif()
enable_language(CUDA)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12)
  hiss_without_cuda("CUDA ${CMAKE_CUDA_COMPILER_VERSION} is older than 12")
endif()
find_package(CUDAToolkit)
if(NOT TARGET CUDA::cublasLt OR NOT TARGET CUDA::cublas)
  hiss_without_cuda("cuBLAS was not found beside ${HISS_NVCC}")
endif()
message(STATUS "CUDA ${CMAKE_CUDA_COMPILER_VERSION} for ${HISS_CUDA_ARCHITECTURES}")

file(GLOB CUDA_SOURCES CONFIGURE_DEPENDS src/tensor/cuda/*.cu)
add_library(hiss_cuda SHARED ${CUDA_SOURCES})
target_include_directories(hiss_cuda PRIVATE src include)
target_link_libraries(hiss_cuda PRIVATE CUDA::cublasLt CUDA::cublas OpenMP::OpenMP_C)
target_compile_options(hiss_cuda PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-fopenmp>)
set_target_properties(hiss_cuda PROPERTIES OUTPUT_NAME hiss-cuda CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON
                      CUDA_RUNTIME_LIBRARY Static CUDA_VISIBILITY_PRESET hidden
                      LIBRARY_OUTPUT_DIRECTORY ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}
                      # cuBLAS is found where it was linked; CMake leaves the toolkit's folder out by itself.
                      BUILD_RPATH "${CUDAToolkit_LIBRARY_DIR}" INSTALL_RPATH "${CUDAToolkit_LIBRARY_DIR}")
add_dependencies(hiss hiss_cuda)
install(TARGETS hiss_cuda LIBRARY)
