# Every option a developer may set, and the compile settings that follow from them.
option(MM_CUDA "Build the CUDA backend (needs nvcc)" OFF)
option(MM_TESTS "Build the tests" ON)
option(MM_FMT_HEADER_ONLY "Compile fmt into every file: for binaries carried to other machines" OFF)
option(MM_FUZZ "Build the libFuzzer targets (needs clang)" OFF)
set(MM_SANITIZE "" CACHE STRING "Sanitizers for our targets, e.g. address,undefined or thread")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
# -O2: measured no slower than -O3 here, and it builds faster.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

# Warnings stop the build with the compilers the checks run with; a newer one may know warnings
# that nobody here has seen, and must not keep a newcomer from building.
set(werror_default OFF)
if((CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION MATCHES "^12\\.")
   OR (CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION MATCHES "^14\\."))
  set(werror_default ON)
endif()
option(MM_WERROR "Treat warnings as errors" ${werror_default})

find_program(MM_CCACHE ccache)
if(MM_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${MM_CCACHE})
endif()

find_package(Threads REQUIRED)
# fmt's library rather than its header-only form, which is compiled again in every file and takes
# half of the build's time.
find_package(fmt REQUIRED)
if(MM_FMT_HEADER_ONLY)
  set(MM_FMT fmt::fmt-header-only)
else()
  set(MM_FMT fmt::fmt)
endif()

if(MM_CUDA)
  include(${CMAKE_CURRENT_LIST_DIR}/cuda.cmake)
endif()

# Warnings and sanitizers, for our targets only.
add_library(mm_flags INTERFACE)
target_compile_options(mm_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wconversion>)
if(MM_WERROR)
  target_compile_options(mm_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
# clang's -Wconversion also complains of int → size_t and int → float, which g++'s does not.
target_compile_options(mm_flags INTERFACE
  $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Wno-sign-conversion -Wno-implicit-int-float-conversion>)
# Bit-equal results need one rounding per written operation: kernels that want a fused
# multiply-add say so with an intrinsic.
target_compile_options(mm_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>)
if(MM_SANITIZE)
  # -O1: instrumented code is checked, not timed, and this halves the build.
  target_compile_options(mm_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${MM_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g1>)
  target_link_options(mm_flags INTERFACE -fsanitize=${MM_SANITIZE})
  # g++ 12 takes the checks of a sanitizer for uses of what is not set yet (<regex> among others);
  # builds without one keep this warning.
  target_compile_options(mm_flags INTERFACE
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-maybe-uninitialized>)
endif()
if(MM_FUZZ)
  # Coverage counters in the libraries too: the fuzzer is blind without them.
  target_compile_options(mm_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=fuzzer-no-link>)
endif()
