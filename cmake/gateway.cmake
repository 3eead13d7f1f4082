# Flags and helpers that every folder uses.

add_library(aiops_flags INTERFACE)
target_include_directories(aiops_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(aiops_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow
                                             -Werror)
# Every message type has to be declared in actors/messages.hpp.
target_compile_definitions(
  aiops_flags INTERFACE CAF_ENABLE_TYPE_ID_CHECKS
                        AIOPS_GATEWAY_VERSION="${PROJECT_VERSION}")
target_link_libraries(aiops_flags INTERFACE CAF::core Threads::Threads)

# gateway_library(NAME SOURCES file... LINK other-folder-or-target...)
function(gateway_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(aiops_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(aiops_${name} PUBLIC aiops_flags)
  foreach(lib ${ARG_LINK})
    if(lib MATCHES "^(actors|json|host|net|http|nats|logs|gpu|wiring|support)$")
      target_link_libraries(aiops_${name} PUBLIC aiops_${lib})
    else()
      target_link_libraries(aiops_${name} PRIVATE ${lib})
    endif()
  endforeach()
endfunction()

# gateway_test(NAME RUNG unit|actor|http|integration SOURCES file...
#              LINK folder...)
# One program; each doctest case becomes a test of its own, labelled with the
# rung.
function(gateway_test name)
  cmake_parse_arguments(ARG "" "RUNG" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_compile_definitions(${name} PRIVATE DOCTEST_CONFIG_SUPER_FAST_ASSERTS)
  target_link_libraries(${name} PRIVATE aiops_flags doctest::doctest
                                        aiops_support)
  foreach(lib ${ARG_LINK})
    if(TARGET aiops_${lib})
      target_link_libraries(${name} PRIVATE aiops_${lib})
    else()
      target_link_libraries(${name} PRIVATE ${lib})
    endif()
  endforeach()
  doctest_discover_tests(${name} TEST_PREFIX "${ARG_RUNG}/" PROPERTIES LABELS
                         ${ARG_RUNG} TIMEOUT 120)
endfunction()
