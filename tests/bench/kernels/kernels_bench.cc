// What the kernels make of this machine: answers requests, lines of JSON, with lines of JSON. kernels.py asks.
//   {"what": "sets"}                                     names of those that this processor runs, the fastest first
//   {"what": "memory"}                                   bytes a second that are read from memory
//   {"what": "bound", "set", "integers"}                 multiplications a second on registers
//   {"what": "matrix", "set", "format", "outputs", "columns", "rows"}             seconds for a product
//   {"what": "attention", "set", "element_bytes", "width", "heads", "positions"}  seconds for a key head
// all with "threads" and "seconds", the time to measure for.

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstring>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "server/kernels/huge_pages.h"
#include "server/kernels/kernels.h"
#include "server/kernels/packed_matrix.h"
#include "server/kernels/team.h"
#include "tests/bench/kernels/multiply_bound.h"

namespace predictd {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

// What is measured goes round in this memory: several times what any cache of today's machines has for a few cores.
constexpr int64_t kPoolBytes = int64_t{1} << 30;

class Pool {
 public:
  uint8_t* data() const { return static_cast<uint8_t*>(memory_.get()); }

  // Copies of a block, one behind the other, unless they are there already.
  void Fill(const std::string& name, const std::vector<uint8_t>& block) {
    if (name == name_) return;
    name_ = name;
    const auto bytes = static_cast<int64_t>(block.size());
    for (int64_t at = 0; at + bytes <= kPoolBytes; at += bytes) std::memcpy(data() + at, block.data(), block.size());
  }

 private:
  const std::shared_ptr<void> memory_ = HugePages(kPoolBytes);
  std::string name_;
};

// Calls step(part, i) with i = 0, 1, 2... on each thread, of which each has a part, until the time is over. A step says
// how much it has done. Returns how much all together did in a second.
double Rate(const Json& request, const std::function<int64_t(const Part&, int64_t)>& step) {
  const int threads = request["threads"];
  const auto time = std::chrono::duration<double>(request["seconds"].get<double>());
  std::atomic<double> rate = 0;
  std::barrier warm(threads);
  const auto run = [&](int index) {
    const Part part = {.index = index, .count = threads};
    const auto measure = [&](std::chrono::duration<double> for_so_long, int64_t& i) {
      const Clock::time_point begin = Clock::now();
      int64_t done = 0;
      std::chrono::duration<double> taken;
      do {
        done += step(part, i++);
        taken = Clock::now() - begin;
      } while (taken < for_so_long);
      return static_cast<double>(done) / taken.count();
    };
    // Threads come up, and frequencies change with instructions.
    int64_t i = 0;
    measure(time / 4, i);
    warm.arrive_and_wait();
    rate.fetch_add(measure(time, i));
  };
  std::vector<std::jthread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(run, i);
  run(0);
  others.clear();
  return rate;
}

KernelSet SetOf(const Json& request) {
  for (const KernelSet set : kKernelSets) {
    if (IsSupported(set) && KernelSetName(set) == request["set"]) return set;
  }
  throw std::invalid_argument("no such kernel set here: " + request["set"].dump());
}

WeightFormat FormatNamed(const std::string& name) {
  return name == "q4" ? WeightFormat::kQ4 : name == "q8" ? WeightFormat::kQ8 : WeightFormat::kF16;
}

std::vector<float> RandomFloats(int64_t count) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> floats(static_cast<size_t>(count));
  for (float& x : floats) x = normal(random);
  return floats;
}

std::vector<uint16_t> RandomHalves(int64_t count) {
  std::vector<uint16_t> halves;
  for (const float x : RandomFloats(count)) {
    const auto half = static_cast<_Float16>(x);
    std::memcpy(&halves.emplace_back(), &half, sizeof(half));
  }
  return halves;
}

std::vector<uint8_t> RandomPanel(WeightFormat format, int64_t columns) {
  std::mt19937 random(1);
  std::vector<uint8_t> quants(static_cast<size_t>(kPanelRows * columns));
  for (uint8_t& quant : quants) quant = static_cast<uint8_t>(random() % 16);
  const std::vector<uint16_t> halves = RandomHalves(kPanelRows * columns);
  std::vector<uint8_t> panel(static_cast<size_t>(PanelBytes(format, columns)));
  if (format == WeightFormat::kQ4) {
    PackQ4(quants.data(), halves.data(), halves.data(), kPanelRows, columns, panel.data());
  } else if (format == WeightFormat::kQ8) {
    PackQ8(reinterpret_cast<const int8_t*>(quants.data()), halves.data(), kPanelRows, columns, panel.data());
  } else {
    PackF16(halves.data(), kPanelRows, columns, panel.data());
  }
  return panel;
}

double Memory(const Json& request, Pool& pool) {
  // Pages that nobody has written are all the same one.
  pool.Fill("ones", std::vector<uint8_t>(size_t{1} << 20, 1));
  constexpr int64_t kBlock = 1 << 16;
  constexpr int64_t kAhead = 4096;
  return Rate(request, [&](const Part& part, int64_t i) {
    const Span share = part.Of(kPoolBytes / kBlock);
    const uint8_t* block = pool.data() + (share.begin + i % (share.end - share.begin)) * kBlock;
    // A number of each line: with it, all of the line comes.
    constexpr int64_t kLine = 64;
    uint64_t even = 0;
    uint64_t odd = 0;
    for (int64_t at = 0; at < kBlock; at += 2 * kLine) {
      __builtin_prefetch(block + at + kAhead);
      __builtin_prefetch(block + at + kAhead + kLine);
      even += *reinterpret_cast<const uint64_t*>(block + at);
      odd += *reinterpret_cast<const uint64_t*>(block + at + kLine);
    }
    asm volatile("" : "+r"(even), "+r"(odd));
    return kBlock;
  });
}

double Matrix(const Json& request, Pool& pool) {
  const Kernels& kernels = KernelsFor(SetOf(request));
  const WeightFormat format = FormatNamed(request["format"]);
  const int64_t columns = request["columns"];
  const int64_t rows = request["rows"];
  const int64_t outputs = request["outputs"];
  pool.Fill(request["format"].get<std::string>() + request["columns"].dump(), RandomPanel(format, columns));
  const int64_t panels = outputs / kPanelRows;
  const int64_t matrix_bytes = panels * PanelBytes(format, columns);
  std::vector<uint8_t> bytes(static_cast<size_t>(Activations::Bytes(rows, columns, Activations::QuantizedFor(format))));
  const Activations x{.data = bytes.data(), .columns = columns, .quantized = Activations::QuantizedFor(format)};
  const std::vector<float> row = RandomFloats(columns);
  for (int64_t i = 0; i < rows; ++i) kernels.put(row.data(), columns, i, 0, x);
  std::vector<float> y(static_cast<size_t>(rows * outputs));
  // So many at a time that time can be kept even where they are slow.
  constexpr int64_t kAtOnce = 8;
  const double rate = Rate(request, [&](const Part& part, int64_t i) {
    const Span share = part.Of(panels);
    const int64_t parts = (share.end - share.begin + kAtOnce - 1) / kAtOnce;
    const int64_t copy = i / parts % std::max<int64_t>(kPoolBytes / matrix_bytes, 1);
    const int64_t begin = share.begin + i % parts * kAtOnce;
    const Span some = {begin, std::min(begin + kAtOnce, share.end)};
    kernels.multiply({pool.data() + copy * matrix_bytes, format, outputs, columns}, some, x, rows, false, y.data());
    return some.end - some.begin;
  });
  return static_cast<double>(panels) / rate;
}

double Attention(const Json& request, Pool& pool) {
  const Kernels& kernels = KernelsFor(SetOf(request));
  const int64_t element_bytes = request["element_bytes"];
  const int64_t width = request["width"];
  const int64_t heads = request["heads"];
  const int64_t positions = request["positions"];
  const std::vector<uint16_t> halves = RandomHalves(1 << 18);
  const std::vector<float> floats = RandomFloats(1 << 18);
  const auto* block = element_bytes == 2 ? reinterpret_cast<const uint8_t*>(halves.data())
                                         : reinterpret_cast<const uint8_t*>(floats.data());
  pool.Fill("cache" + request["element_bytes"].dump(), {block, block + (element_bytes << 18)});
  const int64_t bytes = positions * width * element_bytes;
  const std::vector<float> queries = RandomFloats(heads * width);
  const double rate = Rate(request, [&](const Part& part, int64_t i) {
    thread_local std::vector<float> scratch;
    scratch.resize(static_cast<size_t>(AttentionScratch(positions) + heads * width));
    const Span share = part.Of(kPoolBytes / (2 * bytes));
    const auto keys_at = [&](int64_t index) {
      return pool.data() + (share.begin + index % (share.end - share.begin)) * 2 * bytes;
    };
    const HeadCache cache{.keys = keys_at(i),
                          .values = keys_at(i) + bytes,
                          .element = element_bytes == 2 ? CacheElement::kF16 : CacheElement::kF32,
                          .width = width};
    for (int64_t head = 0; head < heads; head += kMaxHeadsAtOnce) {
      kernels.attend(queries.data() + head * width, std::min(kMaxHeadsAtOnce, heads - head), cache, positions,
                     keys_at(i + 1), scratch.data() + heads * width, scratch.data() + head * width);
    }
    return 1;
  });
  return 1 / rate;
}

Json Answer(const Json& request, Pool& pool) {
  const std::string what = request["what"];
  if (what == "sets") {
    Json names = Json::array();
    for (const KernelSet set : kKernelSets) {
      if (IsSupported(set)) names.push_back(KernelSetName(set));
    }
    return names;
  }
  if (what == "memory") return Memory(request, pool);
  if (what == "bound") {
    const KernelSet set = SetOf(request);
    const bool integers = request["integers"];
    return Rate(request, [&](const Part&, int64_t) { return MultiplyOnRegisters(set, integers); });
  }
  if (what == "matrix") return Matrix(request, pool);
  return Attention(request, pool);
}

}  // namespace
}  // namespace predictd

int main() {
  try {
    predictd::Pool pool;
    for (std::string line; std::getline(std::cin, line);) {
      std::cout << predictd::Answer(predictd::Json::parse(line), pool) << std::endl;
    }
  } catch (const std::exception& error) {
    std::cerr << "bench_kernels: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
