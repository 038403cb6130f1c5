# cmake --install: the program, the bundled model where the program looks for it, and the libraries
# for find_package(minimax).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
if(TARGET minimax)
  install(TARGETS minimax RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
endif()
if(EXISTS ${CMAKE_SOURCE_DIR}/models/mini/config.json)
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/models/mini
    DESTINATION ${CMAKE_INSTALL_DATADIR}/minimax/models COMPONENT program)
endif()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/minimax)
set(modules base tensor ops cache model text engine)
if(MM_CUDA)
  list(APPEND modules ops_cuda)
endif()
foreach(module ${modules})
  set_target_properties(mm_${module} PROPERTIES EXPORT_NAME ${module})
  install(TARGETS mm_${module} EXPORT minimax-targets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
endforeach()
install(DIRECTORY ${CMAKE_SOURCE_DIR}/src/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/minimax
  COMPONENT library FILES_MATCHING PATTERN "*.h" PATTERN "reference" EXCLUDE PATTERN "cuda" EXCLUDE
  PATTERN "serve" EXCLUDE PATTERN "load" EXCLUDE)
install(EXPORT minimax-targets NAMESPACE minimax:: DESTINATION ${package_dir} COMPONENT library)
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/minimax-config.cmake.in
  ${CMAKE_BINARY_DIR}/minimax-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/minimax-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/minimax-config.cmake
  ${CMAKE_BINARY_DIR}/minimax-config-version.cmake
  DESTINATION ${package_dir} COMPONENT library)
