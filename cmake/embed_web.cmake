# Writes a C++ file that holds the files of the web page, compressed. As a script:
#   cmake -DWEB_DIR=<web/dist> -DOUTPUT=<file.cc> -DWORK_DIR=<scratch> -P embed_web.cmake
# CMake alone does it, so that a build needs neither Node nor a network.
file(GLOB_RECURSE files RELATIVE ${WEB_DIR} ${WEB_DIR}/*)
list(SORT files)
file(MAKE_DIRECTORY ${WORK_DIR})

set(type_html "text/html; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_svg "image/svg+xml")
set(type_txt "text/plain; charset=utf-8")

set(arrays "")
set(rows "")
set(index 0)
foreach(file ${files})
  string(REGEX MATCH "[^.]*$" extension ${file})
  if(NOT DEFINED type_${extension})
    message(FATAL_ERROR "${file}: no content type is known for .${extension}, expected html, js, css, svg or txt")
  endif()
  # The page itself is asked for as "/".
  string(REGEX REPLACE "^index\\.html$" "" path ${file})
  file(ARCHIVE_CREATE OUTPUT ${WORK_DIR}/${index}.gz PATHS ${WEB_DIR}/${file}
    FORMAT raw COMPRESSION GZip COMPRESSION_LEVEL 9)
  file(SHA256 ${WEB_DIR}/${file} hash)
  string(SUBSTRING ${hash} 0 16 tag)
  file(READ ${WORK_DIR}/${index}.gz hex HEX)
  # Bytes 4 to 7 of a gzip file (RFC 1952) are the time: zero, so that the same page gives the same
  # program.
  string(SUBSTRING "${hex}" 0 8 before)
  string(SUBSTRING "${hex}" 16 -1 after)
  set(hex "${before}00000000${after}")
  string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND arrays "constexpr unsigned char kFile${index}[] = {\n${bytes}};\n")
  string(APPEND rows "    make_file(\"/${path}\", \"${type_${extension}}\", \"\\\"${tag}\\\"\", kFile${index}),\n")
  math(EXPR index "${index} + 1")
endforeach()

file(WRITE ${OUTPUT}.new "// Made by cmake/embed_web.cmake from web/dist.
#include \"serve/web_page.h\"

namespace mm {

namespace {

${arrays}
template <size_t N>
WebFile make_file(const char* path, const char* type, const char* tag, const unsigned char (&bytes)[N]) {
  return {path, type, tag, {reinterpret_cast<const char*>(bytes), N}};
}

}  // namespace

const std::vector<WebFile>& web_files() {
  static const std::vector<WebFile> files = {
${rows}  };
  return files;
}

}  // namespace mm
")
file(RENAME ${OUTPUT}.new ${OUTPUT})
