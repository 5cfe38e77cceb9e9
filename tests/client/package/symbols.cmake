# Checks that LIBRARY defines nothing in namespace predictd, which is the server's, but in the namespaces within it.
execute_process(COMMAND nm --demangle --defined-only --extern-only ${LIBRARY}
  OUTPUT_VARIABLE SYMBOLS COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[TDBRW] predictd::client::" OWN "${SYMBOLS}")
if(NOT OWN)
  message(FATAL_ERROR "${LIBRARY} has no symbol of the client")
endif()
string(REGEX REPLACE "predictd::(client|v1)::" "" SYMBOLS "${SYMBOLS}")
string(REGEX MATCHALL "[^\n]*predictd::[^\n]*" STRAY "${SYMBOLS}")
if(STRAY)
  message(FATAL_ERROR "${LIBRARY} defines names of the server's namespace: ${STRAY}")
endif()
