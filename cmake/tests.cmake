# SPDX-License-Identifier: Apache-2.0
#
# Tests, examples, benchmarks. A file that follows the naming is picked up; nothing has to be listed.
#
#   tests/support/X.c                                linked into every Check program
#   src/**/X_test.c  tests/stress/X_test.c           Check programs with the library's objects: they reach internal functions
#   tests/crash/X_test.c                             the same, compiled with SKEP_PROBES
#   tests/api/X_test.c                               Check programs linked to libskep.so
#   tests/fuzz/X_fuzz.c                              LLVMFuzzerTestOneInput; runs over tests/fuzz/corpus/X/ in every build
#   python/tests/test_X.py                           pytest, with build/python
#   examples/run_X.sh  examples/*/test_X.sh          shell, with SKEP_BUILD in the environment
#
# A test program may say at its beginning how it wants to be run:  ctest: LABEL ... timeout=SECONDS serial

function(skep_test_wishes source ret_labels ret_timeout ret_serial)
        set(labels "")
        set(timeout 60)
        set(serial OFF)
        file(STRINGS "${source}" head LIMIT_INPUT 4000)
        foreach(line IN LISTS head)
                if(line MATCHES "^[ /*#]*ctest:(.*)$")
                        string(REGEX MATCHALL "[a-z_]+(=[0-9]+)?" words "${CMAKE_MATCH_1}")
                        foreach(word IN LISTS words)
                                if(word MATCHES "^timeout=([0-9]+)$")
                                        set(timeout "${CMAKE_MATCH_1}")
                                elseif(word STREQUAL "serial")
                                        set(serial ON)
                                else()
                                        list(APPEND labels "${word}")
                                endif()
                        endforeach()
                endif()
        endforeach()
        math(EXPR timeout "${timeout} * ${timeout_factor}")
        set(${ret_labels} "${labels}" PARENT_SCOPE)
        set(${ret_timeout} "${timeout}" PARENT_SCOPE)
        set(${ret_serial} "${serial}" PARENT_SCOPE)
endfunction()

# skep_test(NAME SOURCE LABEL ENVIRONMENT COMMAND...)
function(skep_test name source label environment)
        skep_test_wishes("${source}" labels timeout serial)
        add_test(NAME "${name}" COMMAND ${ARGN} WORKING_DIRECTORY "${CMAKE_BINARY_DIR}")
        set_tests_properties("${name}" PROPERTIES TIMEOUT "${timeout}" LABELS "${label};${labels}" RUN_SERIAL "${serial}" ENVIRONMENT "${environment}")
endfunction()

# The name of a test program: X_test, or ROOM_X_test if that is taken.
function(skep_test_name source ret_name)
        cmake_path(GET source STEM name)
        if(TARGET "${name}")
                cmake_path(GET source PARENT_PATH folder)
                cmake_path(GET folder FILENAME folder)
                set(name "${folder}_${name}")
        endif()
        set(${ret_name} "${name}" PARENT_SCOPE)
endfunction()

file(GLOB support_sources CONFIGURE_DEPENDS tests/support/*.c)
pkg_check_modules(CHECK IMPORTED_TARGET check)
if(NOT CHECK_FOUND)
        message(STATUS "pkg-config does not know 'check': no C tests")
endif()

# skep_check_program(SOURCE LABEL LIBRARY)
function(skep_check_program source label library)
        skep_test_name("${source}" name)
        set(support ${support_sources})
        if(NOT label STREQUAL "crash")
                list(FILTER support EXCLUDE REGEX "world\\.c$") # have victims that die at probe points
        endif()
        add_executable("${name}" "${source}" ${support})
        target_include_directories("${name}" PRIVATE tests)
        target_link_libraries("${name}" PRIVATE "${library}" skep_flags PkgConfig::CHECK m)
        set_target_properties("${name}" PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
        if(label STREQUAL "api")
                set(api_programs ${api_programs} $<TARGET_FILE:${name}> PARENT_SCOPE)
        endif()
        skep_test("${name}" "${source}" "${label}" "SKEP_BUILD=${CMAKE_BINARY_DIR};${test_environment}" ${test_runner} $<TARGET_FILE:${name}>)
endfunction()

set(api_programs "")
if(CHECK_FOUND AND NOT SKEP_SANITIZE STREQUAL "fuzzer")
        foreach(source IN LISTS unit_tests)
                skep_check_program("${source}" unit skep_objects)
        endforeach()
        foreach(kind crash stress api)
                file(GLOB programs RELATIVE "${CMAKE_SOURCE_DIR}" CONFIGURE_DEPENDS tests/${kind}/*_test.c)
                foreach(source IN LISTS programs)
                        if(kind STREQUAL "api")
                                skep_check_program("${source}" api skep)
                        elseif(kind STREQUAL "crash")
                                skep_check_program("${source}" crash skep_objects_probed)
                        else()
                                skep_check_program("${source}" "${kind}" skep_objects)
                        endif()
                endforeach()
        endforeach()
endif()

if(api_programs)
        list(PREPEND api_programs --tests) # tools/symbols.py
endif()

file(GLOB fuzz_sources RELATIVE "${CMAKE_SOURCE_DIR}" CONFIGURE_DEPENDS tests/fuzz/*_fuzz.c)
foreach(source IN LISTS fuzz_sources)
        cmake_path(GET source STEM name)
        string(REGEX REPLACE "_fuzz$" "" corpus "${name}")
        set(corpus "${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${corpus}")
        add_executable("${name}" "${source}")
        target_link_libraries("${name}" PRIVATE skep_objects skep_flags)
        set_target_properties("${name}" PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
        if(SKEP_SANITIZE STREQUAL "fuzzer")
                target_link_options("${name}" PRIVATE -fsanitize=fuzzer)
                if(NOT EXISTS "${corpus}")
                        set(corpus "")
                endif()
                skep_test("${name}" "${source}" fuzz "" $<TARGET_FILE:${name}> -runs=0 ${corpus})
        else()
                target_sources("${name}" PRIVATE tests/fuzz/driver.c)
                skep_test("${name}" "${source}" fuzz "${test_environment}" ${test_runner} $<TARGET_FILE:${name}> "${corpus}")
        endif()
endforeach()
if(SKEP_SANITIZE STREQUAL "fuzzer")
        return()
endif()

if(TARGET skep_extension AND NOT SKEP_SANITIZE STREQUAL "thread")
        file(GLOB python_tests CONFIGURE_DEPENDS python/tests/test_*.py)
        foreach(source IN LISTS python_tests)
                cmake_path(GET source STEM name)
                skep_test("python_${name}" "${source}" python
                          "PYTHONPATH=${CMAKE_BINARY_DIR}/python;PYTHONDONTWRITEBYTECODE=1;SKEP_BUILD=${CMAKE_BINARY_DIR};${python_environment}"
                          "${SKEP_PYTHON}" -m pytest -q -x -p no:cacheprovider "${source}")
        endforeach()
endif()

foreach(kind examples/c bench)
        file(GLOB programs RELATIVE "${CMAKE_SOURCE_DIR}" CONFIGURE_DEPENDS ${kind}/*.c)
        string(REGEX REPLACE "/.*" "" folder "${kind}")
        foreach(source IN LISTS programs)
                cmake_path(GET source STEM name)
                add_executable("${folder}_${name}" "${source}")
                target_link_libraries("${folder}_${name}" PRIVATE skep skep_flags m)
                set_target_properties("${folder}_${name}" PROPERTIES OUTPUT_NAME "${name}" RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/${folder}")
        endforeach()
endforeach()
find_package(OpenMP COMPONENTS C)
if(TARGET bench_pool AND OpenMP_C_FOUND) # a rival; without it its rows are missing
        target_link_libraries(bench_pool PRIVATE OpenMP::OpenMP_C)
endif()
file(GLOB scripts RELATIVE "${CMAKE_SOURCE_DIR}" CONFIGURE_DEPENDS examples/run_*.sh examples/*/test_*.sh)
if(NOT SKEP_SANITIZE STREQUAL "thread" AND NOT CMAKE_CROSSCOMPILING)
        foreach(source IN LISTS scripts)
                cmake_path(GET source STEM name)
                cmake_path(GET source PARENT_PATH folder)
                string(REPLACE "/" "_" folder "${folder}")
                skep_test("${folder}_${name}" "${source}" examples "SKEP_BUILD=${CMAKE_BINARY_DIR};PYTHON=${SKEP_PYTHON};${python_environment}"
                          bash "${CMAKE_SOURCE_DIR}/${source}")
        endforeach()
endif()

if(CMAKE_CROSSCOMPILING)
        return()
endif()

# --- the build itself ------------------------------------------------------------------------------------------------

set(tools "${CMAKE_SOURCE_DIR}/tools")
skep_test(tidy "${tools}/tidy.py" tools "" "${SKEP_PYTHON}" "${tools}/tidy.py")
skep_test(tidy_test "${tools}/tidy_test.py" tools "PYTHONDONTWRITEBYTECODE=1" "${SKEP_PYTHON}" "${tools}/tidy_test.py")
skep_test(symbols "${tools}/symbols.py" tools "" "${SKEP_PYTHON}" "${tools}/symbols.py" --library $<TARGET_FILE:skep> ${api_programs})
if(NOT SKEP_SANITIZE)
        skep_test(install_test "${CMAKE_SOURCE_DIR}/tests/install_test.sh" tools "CC=${CMAKE_C_COMPILER};SKEP_BUILD=${CMAKE_BINARY_DIR}"
                  bash "${CMAKE_SOURCE_DIR}/tests/install_test.sh")
        skep_test(cli_test "${CMAKE_SOURCE_DIR}/tests/cli_test.sh" tools "SKEP_BUILD=${CMAKE_BINARY_DIR}" bash "${CMAKE_SOURCE_DIR}/tests/cli_test.sh")
        if(TARGET skep_extension)
                skep_test(readme_test "${CMAKE_SOURCE_DIR}/tests/readme_test.py" tools "CC=${CMAKE_C_COMPILER};SKEP_BUILD=${CMAKE_BINARY_DIR}"
                          "${SKEP_PYTHON}" "${CMAKE_SOURCE_DIR}/tests/readme_test.py")
        endif()
endif()
