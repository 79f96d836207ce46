# CMake generated Testfile for 
# Source directory: /work/wt/config/tests
# Build directory: /work/wt/config/.asan/tests
# 
# This file includes the relevant testing commands required for 
# testing this directory and lists subdirectories to be tested as well.
add_test(unit/test_config "/work/wt/config/.asan/tests/test_config")
set_tests_properties(unit/test_config PROPERTIES  LABELS "unit" TIMEOUT "120" WORKING_DIRECTORY "/work/wt/config" _BACKTRACE_TRIPLES "/work/wt/config/tests/CMakeLists.txt;8;add_test;/work/wt/config/tests/CMakeLists.txt;0;")
add_test(unit/test_repl "/work/wt/config/.asan/tests/test_repl")
set_tests_properties(unit/test_repl PROPERTIES  LABELS "unit" TIMEOUT "120" WORKING_DIRECTORY "/work/wt/config" _BACKTRACE_TRIPLES "/work/wt/config/tests/CMakeLists.txt;8;add_test;/work/wt/config/tests/CMakeLists.txt;0;")
add_test(unit/test_spool "/work/wt/config/.asan/tests/test_spool")
set_tests_properties(unit/test_spool PROPERTIES  LABELS "unit" TIMEOUT "120" WORKING_DIRECTORY "/work/wt/config" _BACKTRACE_TRIPLES "/work/wt/config/tests/CMakeLists.txt;8;add_test;/work/wt/config/tests/CMakeLists.txt;0;")
add_test(unit/test_timeline "/work/wt/config/.asan/tests/test_timeline")
set_tests_properties(unit/test_timeline PROPERTIES  LABELS "unit" TIMEOUT "120" WORKING_DIRECTORY "/work/wt/config" _BACKTRACE_TRIPLES "/work/wt/config/tests/CMakeLists.txt;8;add_test;/work/wt/config/tests/CMakeLists.txt;0;")
add_test(unit/test_util "/work/wt/config/.asan/tests/test_util")
set_tests_properties(unit/test_util PROPERTIES  LABELS "unit" TIMEOUT "120" WORKING_DIRECTORY "/work/wt/config" _BACKTRACE_TRIPLES "/work/wt/config/tests/CMakeLists.txt;8;add_test;/work/wt/config/tests/CMakeLists.txt;0;")
add_test(fuzz/fuzz_spool "/work/wt/config/.asan/tests/fuzz_spool" "/work/wt/config/tests/fuzz/corpus/fuzz_spool")
set_tests_properties(fuzz/fuzz_spool PROPERTIES  LABELS "unit" TIMEOUT "120" _BACKTRACE_TRIPLES "/work/wt/config/tests/CMakeLists.txt;61;add_test;/work/wt/config/tests/CMakeLists.txt;0;")
