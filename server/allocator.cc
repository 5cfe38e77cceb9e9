// Configures jemalloc, which the executable is linked with and which reads this symbol before main.
//
// Memory that a burst of large requests leaves behind goes back to the system within seconds, by a thread of jemalloc's
// own. By default that takes ten seconds and happens only when the thread that freed the memory allocates again, so a
// server that has become idle would keep it for ever.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0";
}
