# Writes version_commit.h when the commit changed; run at every build (cmake -P) because a commit
# does not touch any file that a build would notice.
#   SOURCE_DIR  the source tree       OUTPUT  the header to write
cmake_minimum_required(VERSION 3.25)
set(commit "")
find_program(git git)
if(git)
  execute_process(COMMAND ${git} -c safe.directory=* -C ${SOURCE_DIR} rev-parse --short=12 HEAD
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(failed)
    set(commit "")
  endif()
endif()
if(NOT commit)
  set(commit "unknown")
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#pragma once\n#define MM_COMMIT \"@commit@\"\n" @ONLY)
