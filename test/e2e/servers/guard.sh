#!/bin/sh
# guard.sh PID: waits for standard input to end, then ends the server PID and everything left in its process group.
#
# The test keeps the other end of standard input. It closes when the test asks for it and also when the test
# itself is killed, so no way of dying leaves a web server behind.
server=$1

while read -r _; do :; done

# A group is empty once its last process was waited for; signal 0 then fails.
# kill -s SIGNAL -- -GROUP is POSIX; dash knows no kill -SIGNAL -- -GROUP.
wait_for_group() {
  tries=$1
  while [ "$tries" -gt 0 ]; do
    kill -s 0 -- "-$server" 2>/dev/null || exit 0
    tries=$((tries - 1))
    sleep 0.05
  done
}

# The server first, alone: it knows best how to end what it started.
kill -s TERM "$server" 2>/dev/null
wait_for_group 100
kill -s KILL -- "-$server" 2>/dev/null
wait_for_group 100
