# How this project's targets are made: ficus_library, ficus_executable, ficus_test, ficus_proto_library.

# Flags for our own code only; Debian's headers come in as SYSTEM.
add_library(ficus_options INTERFACE)
target_include_directories(ficus_options INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_options(ficus_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wno-missing-field-initializers)
if("$ENV{CI}" STREQUAL "true")
  target_compile_options(ficus_options INTERFACE -Werror)
endif()
if(FICUS_SANITIZE)
  target_compile_options(ficus_options INTERFACE -fsanitize=${FICUS_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(ficus_options INTERFACE -fsanitize=${FICUS_SANITIZE})
  if(FICUS_SANITIZE MATCHES "thread")
    # TSan cannot model the fences asio uses inside its own scheduler.
    target_compile_definitions(ficus_options INTERFACE BOOST_ASIO_DISABLE_FENCED_BLOCK)
    target_compile_options(ficus_options INTERFACE -Wno-error=tsan)
  elseif(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 reports maybe-uninitialized inside instrumented standard headers.
    target_compile_options(ficus_options INTERFACE -Wno-error=maybe-uninitialized)
  endif()
endif()

# ficus_library(NAME SOURCES a.cc ... DEPS target ...): one folder's code, linking only what layering allows.
function(ficus_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ficus_options ${ARG_DEPS})
endfunction()

function(ficus_executable name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ficus_options ${ARG_DEPS})
endfunction()

# ficus_test(NAME LABEL unit|property|e2e|fuzz|fault|bench SOURCES ... DEPS ... [TIMEOUT seconds] [ARGS ...] [WHOLE]):
# a GoogleTest program; each of its tests is a ctest of its own, killed after TIMEOUT (60 s at most). WHOLE: the program is
# one ctest, for hundreds of tests that take less time than a process.
function(ficus_test name)
  cmake_parse_arguments(ARG "WHOLE" "LABEL;TIMEOUT" "SOURCES;DEPS;ENV" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ficus_options ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  if(ARG_WHOLE)
    add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
    set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT} ENVIRONMENT "${ARG_ENV}")
    return()
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT} ENVIRONMENT "${ARG_ENV}")
endfunction()

# ficus_proto_library(NAME [GRPC] PROTOS path/under/proto.proto ... [DEPS ...]): generated C++ of files below proto/.
# Also writes NAME.pb (a FileDescriptorSet with imports) beside the generated code, for tests and policies.
function(ficus_proto_library name)
  cmake_parse_arguments(ARG "GRPC" "" "PROTOS;DEPS" ${ARGN})
  set(out "${PROJECT_BINARY_DIR}/gen")
  file(MAKE_DIRECTORY "${out}")
  set(sources)
  foreach(proto ${ARG_PROTOS})
    string(REGEX REPLACE "\\.proto$" "" stem "${proto}")
    set(outputs "${out}/${stem}.pb.cc" "${out}/${stem}.pb.h")
    set(flags --cpp_out=${out})
    if(ARG_GRPC)
      list(APPEND outputs "${out}/${stem}.grpc.pb.cc" "${out}/${stem}.grpc.pb.h")
      list(APPEND flags --grpc_out=${out} --plugin=protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin>)
    endif()
    add_custom_command(OUTPUT ${outputs}
      COMMAND $<TARGET_FILE:protobuf::protoc> -I "${PROJECT_SOURCE_DIR}/proto" ${flags} "${PROJECT_SOURCE_DIR}/proto/${proto}"
      DEPENDS "${PROJECT_SOURCE_DIR}/proto/${proto}" VERBATIM)
    list(APPEND sources ${outputs})
  endforeach()
  set(paths ${ARG_PROTOS})
  list(TRANSFORM paths PREPEND "${PROJECT_SOURCE_DIR}/proto/")
  add_custom_command(OUTPUT "${out}/${name}.pb"
    COMMAND $<TARGET_FILE:protobuf::protoc> -I "${PROJECT_SOURCE_DIR}/proto" --include_imports --descriptor_set_out=${out}/${name}.pb ${paths}
    DEPENDS ${paths} VERBATIM)
  add_library(${name} STATIC ${sources} "${out}/${name}.pb")
  target_include_directories(${name} SYSTEM PUBLIC "${out}")
  target_link_libraries(${name} PUBLIC protobuf::libprotobuf ${ARG_DEPS})
  if(ARG_GRPC)
    target_link_libraries(${name} PUBLIC gRPC::grpc++)
  endif()
endfunction()
