# cmake --install: the program, and the bundled model where the program looks for it.
include(GNUInstallDirs)
if(TARGET minimax)
  install(TARGETS minimax RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
if(EXISTS ${CMAKE_SOURCE_DIR}/models/mini/config.json)
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/models/mini
    DESTINATION ${CMAKE_INSTALL_DATADIR}/minimax/models)
endif()
