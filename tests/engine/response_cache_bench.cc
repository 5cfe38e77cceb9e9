// Measures what the response cache costs a call. Run it as response_cache_bench.

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "server/engine/response_cache.h"
#include "tests/fakes/tensors.h"

namespace predictd {
namespace {

RequestKey Key(uint64_t number) {
  return {number * 0x9E3779B97F4A7C15, number, 0, 0};
}

// The key of one tensor of that many bytes.
void BM_Key(benchmark::State& state) {
  const std::vector<Tensor> inputs = {Floats({1, state.range(0) / 4}, std::vector<float>(state.range(0) / 4, 0.5F))};
  for (auto _ : state) benchmark::DoNotOptimize(MakeRequestKey(1, inputs));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_Key)->Arg(256)->Arg(4 << 10)->Arg(64 << 10)->Arg(kMaxKeyedBytes);

// The same for strings. The worst case is many short ones.
void BM_KeyOfStrings(benchmark::State& state) {
  const int64_t count = kMaxKeyedBytes / (sizeof(uint64_t) + state.range(0));
  const std::vector<Tensor> inputs = {
      Strings({count}, std::vector<std::string>(count, std::string(state.range(0), 'x')))};
  for (auto _ : state) benchmark::DoNotOptimize(MakeRequestKey(1, inputs));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kMaxKeyedBytes));
}
BENCHMARK(BM_KeyOfStrings)->Arg(0)->Arg(1)->Arg(100);

const SteadyClock kClock;

// A hit among that many entries; several threads share the cache.
void BM_Hit(benchmark::State& state) {
  static ResponseCache* cache;
  const auto entries = static_cast<uint64_t>(state.range(0));
  if (state.thread_index() == 0) {
    cache = new ResponseCache({.capacity_bytes = size_t{1} << 30}, kClock);
    const std::vector<Tensor> outputs = {Floats({1, 64}, std::vector<float>(64, 0.5F))};
    for (uint64_t i = 0; i < entries; ++i) cache->Store(Key(i), outputs);
  }
  uint64_t next = static_cast<uint64_t>(state.thread_index()) * 7919;
  for (auto _ : state) {
    next = (next + 104'729) % entries;
    if (!cache->Lookup(Key(next)).has_value()) state.SkipWithError("not found");
  }
  state.SetItemsProcessed(state.iterations());
  if (state.thread_index() == 0) delete cache;
}
BENCHMARK(BM_Hit)->Arg(100)->Arg(100'000)->ThreadRange(1, 4)->UseRealTime();

// A miss whose answer evicts one entry, or as many small ones as a large answer can.
void BM_StoreIntoFull(benchmark::State& state) {
  ResponseCache cache({.capacity_bytes = size_t{64} << 20}, kClock);
  const std::vector<Tensor> small = {Floats({1, 1}, {0.5F})};
  const std::vector<Tensor> outputs = {Floats({1, state.range(0)}, std::vector<float>(state.range(0), 0.5F))};
  uint64_t next = 0;
  const auto fill = [&](uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) cache.Store(Key(next++), small);
  };
  fill(200'000);
  for (auto _ : state) {
    cache.Store(Key(next++), outputs);
    state.PauseTiming();
    fill(1000);
    state.ResumeTiming();
  }
}
BENCHMARK(BM_StoreIntoFull)->Arg(1)->Arg(65'536)->Iterations(2000);

}  // namespace
}  // namespace predictd
