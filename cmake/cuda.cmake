# The CUDA language, with nvcc from PATH or from its usual place.
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(MM_NVCC nvcc PATHS /usr/local/cuda/bin)
  if(NOT MM_NVCC)
    message(FATAL_ERROR
      "MM_CUDA=ON needs nvcc, which is neither in PATH nor in /usr/local/cuda/bin: install the "
      "CUDA toolkit, set CMAKE_CUDA_COMPILER, or use the cpu preset.")
  endif()
  set(CMAKE_CUDA_COMPILER ${MM_NVCC})
endif()
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 90a)
endif()
enable_language(CUDA)
# Debian's CMake 3.25 does not know that nvcc has C++20.
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
find_package(CUDAToolkit REQUIRED)
# Programs carried to a machine with a GPU find the few libraries carried with them.
set(CMAKE_BUILD_RPATH "\$ORIGIN/lib")
