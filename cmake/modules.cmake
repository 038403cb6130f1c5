# mm_module(<name> [DEPENDS <modules...>] [LIBRARIES <libraries...>]): one library per folder of src/.
# Sources are globbed: the folder list is the build list. Folders named cuda are left out; they
# have a library of their own (src/ops/cuda/CMakeLists.txt), which exists only with MM_CUDA.
function(mm_module name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LIBRARIES;EXCLUDE" ${ARGN})
  # Relative paths: the name of a folder above the checkout must not decide what is built.
  file(GLOB_RECURSE sources RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS
    ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/cuda/")
  foreach(pattern ${ARG_EXCLUDE})
    list(FILTER sources EXCLUDE REGEX ${pattern})
  endforeach()
  add_library(mm_${name} STATIC ${sources})
  target_include_directories(mm_${name} PUBLIC
    $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/minimax>)
  target_compile_features(mm_${name} PUBLIC cxx_std_20)
  list(TRANSFORM ARG_DEPENDS PREPEND mm_)
  target_link_libraries(mm_${name}
    PUBLIC ${ARG_DEPENDS} PRIVATE ${ARG_LIBRARIES} $<BUILD_INTERFACE:mm_flags>)
  target_link_libraries(mm_${name} PUBLIC Threads::Threads ${MM_FMT})
endfunction()

# mm_test(<name> [LIBRARIES <libraries...>] [LABEL <label>]): one test binary per folder of tests/,
# run by ctest under the label (cpu if none is given). Tests with "Slow" in their name get the label
# with "-slow" after it (a list of two labels would not survive the discovery of tests); sanitizer
# runs leave those out.
function(mm_test name)
  cmake_parse_arguments(ARG "" "LABEL" "LIBRARIES" ${ARGN})
  file(GLOB_RECURSE sources RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS
    ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*_test.cc)
  if(NOT ARG_LABEL)
    set(ARG_LABEL cpu)
  endif()
  if(NOT ARG_LABEL STREQUAL "cuda")
    list(FILTER sources EXCLUDE REGEX "/cuda/")
  endif()
  if(NOT sources)
    return()
  endif()
  string(REPLACE "/" "_" target mm_${name}_test)
  string(REPLACE "/" "." prefix ${name}.)
  add_executable(${target} ${sources})
  target_link_libraries(${target} PRIVATE ${ARG_LIBRARIES} GTest::gtest_main GTest::gmock mm_flags)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_definitions(${target} PRIVATE MM_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  gtest_discover_tests(${target} TEST_PREFIX ${prefix} TEST_FILTER "-*Slow*" NO_PRETTY_VALUES
    PROPERTIES LABELS ${ARG_LABEL} DISCOVERY_TIMEOUT 60)
  gtest_discover_tests(${target} TEST_PREFIX ${prefix} TEST_FILTER "*Slow*" TEST_LIST ${target}_slow NO_PRETTY_VALUES
    PROPERTIES LABELS "${ARG_LABEL}-slow" DISCOVERY_TIMEOUT 60)
endfunction()
