find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME rules/text COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/rules/check_rules.py)
add_test(NAME rules/headers COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/rules/check_rules.py --headers --build ${CMAKE_BINARY_DIR})
set_tests_properties(rules/text rules/headers PROPERTIES LABELS unit TIMEOUT 300)
