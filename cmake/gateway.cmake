# Flags and functions for all folders.

add_library(aiops_flags INTERFACE)
target_include_directories(aiops_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(aiops_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow
                                             -Werror)
# Every message type has to be declared in actors/messages.hpp.
target_compile_definitions(
  aiops_flags INTERFACE CAF_ENABLE_TYPE_ID_CHECKS
                        AIOPS_GATEWAY_VERSION="${PROJECT_VERSION}")
target_link_libraries(aiops_flags INTERFACE CAF::core Threads::Threads)

# Sets OUT to the files that LIST names, one per line, relative to its folder. Meson
# reads the same lists.
function(gateway_sources out list)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${list})
  file(STRINGS ${list} sources)
  set(${out} ${sources} PARENT_SCOPE)
endfunction()

# Links folders by their names. Anything else is a target or library.
function(gateway_link target scope)
  foreach(lib ${ARGN})
    if(TARGET aiops_${lib})
      target_link_libraries(${target} ${scope} aiops_${lib})
    else()
      target_link_libraries(${target} PRIVATE ${lib})
    endif()
  endforeach()
endfunction()

# gateway_library(NAME LINK folder-or-target...)
# The library of a folder, with the files that its sources.txt lists.
function(gateway_library name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  gateway_sources(sources sources.txt)
  add_library(aiops_${name} STATIC ${sources})
  target_link_libraries(aiops_${name} PUBLIC aiops_flags)
  gateway_link(aiops_${name} PUBLIC ${ARG_LINK})
endfunction()

# gateway_test(NAME RUNG unit|actor|http|integration LINK folder-or-target...)
# One program with the files that NAME.txt lists. Each doctest case becomes a test
# that is labelled with the rung.
function(gateway_test name)
  cmake_parse_arguments(ARG "" "RUNG" "LINK" ${ARGN})
  gateway_sources(sources ${name}.txt)
  add_executable(${name} ${sources})
  target_compile_definitions(${name} PRIVATE DOCTEST_CONFIG_SUPER_FAST_ASSERTS)
  target_link_libraries(${name} PRIVATE aiops_flags doctest::doctest
                                        aiops_test_main)
  gateway_link(${name} PRIVATE support ${ARG_LINK})
  doctest_discover_tests(${name} TEST_PREFIX "${ARG_RUNG}/" PROPERTIES LABELS
                         ${ARG_RUNG} TIMEOUT 120)
endfunction()
