#include "server/kernels/decoder_layer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace predictd {
namespace {

constexpr int64_t kAlignment = 64;

int64_t Aligned(int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

int64_t FloatBytes(int64_t floats) {
  return Aligned(floats * static_cast<int64_t>(sizeof(float)));
}

Activations InputOf(const PackedMatrix& matrix, uint8_t* data) {
  return {.data = data, .columns = matrix.columns, .quantized = Activations::QuantizedFor(matrix.format)};
}

int64_t InputBytes(int64_t rows, const PackedMatrix& matrix) {
  return Aligned(Activations::Bytes(rows, matrix.columns, Activations::QuantizedFor(matrix.format)));
}

// Memory that its thread keeps.
class Memory {
 public:
  Memory() = default;
  ~Memory() { std::free(data_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  uint8_t* AtLeast(int64_t bytes) {
    if (bytes <= size_) return data_;
    std::free(data_);
    size_ = 0;
    data_ = static_cast<uint8_t*>(std::aligned_alloc(kAlignment, static_cast<size_t>(bytes)));
    if (data_ == nullptr) throw std::bad_alloc();
    size_ = bytes;
    return data_;
  }

 private:
  uint8_t* data_ = nullptr;
  int64_t size_ = 0;
};

// Stores rows of x, normalized if there is a norm, as a matrix takes them.
void PutRows(const Kernels& kernels, const float* x, int64_t rows, const float* norm, float epsilon,
             const Activations& to, float* own, Member& member) {
  member.Divide(rows, [&](const Part& part) {
    const Span share = part.Of(rows);
    for (int64_t row = share.begin; row < share.end; ++row) {
      const float* from = x + row * to.columns;
      if (norm != nullptr) {
        kernels.normalize(from, norm, epsilon, to.columns, own);
        from = own;
      }
      kernels.put(from, to.columns, row, 0, to);
    }
  });
}

// Where the parts of a row of queries, keys and values are.
struct Heads {
  int64_t kv;
  int64_t group;
  int64_t width;

  int64_t queries() const { return kv * group; }
  int64_t Query(int64_t head) const { return head * width; }
  int64_t Key(int64_t kv_head) const { return (queries() + kv_head) * width; }
  int64_t Value(int64_t kv_head) const { return (queries() + kv + kv_head) * width; }
};

Heads HeadsOf(const AttentionWeights& weights, const LayerCache& cache) {
  const int64_t heads = weights.qkv.rows / cache.head_width - 2 * cache.kv_heads;
  return {.kv = cache.kv_heads, .group = heads / cache.kv_heads, .width = cache.head_width};
}

// Finishes the queries and keys of some (row, key head) pairs, and stores keys and values in the cache. This is done
// for all rows before attention, because later tokens of a sequence look at earlier ones.
void Turn(const Decoding& decoding, const AttentionWeights& weights, const LayerCache& cache, const Heads& heads,
          float* qkv, const Span& share) {
  const Kernels& kernels = *decoding.kernels;
  const Rows& rows = decoding.rows;
  for (int64_t item = share.begin; item < share.end; ++item) {
    const int64_t row = item / heads.kv;
    const int64_t kv_head = item % heads.kv;
    float* all = qkv + row * weights.qkv.rows;
    const float* turns = rows.turns + rows.positions[row] * heads.width;
    const auto finish = [&](int64_t at, const float* norm) {
      float* head = all + at;
      if (weights.bias != nullptr) {
        for (int64_t i = 0; i < heads.width; ++i) head[i] += weights.bias[at + i];
      }
      if (norm != nullptr) kernels.normalize(head, norm, decoding.epsilon, heads.width, head);
    };
    for (int64_t i = 0; i < heads.group; ++i) {
      const int64_t query = heads.Query(kv_head * heads.group + i);
      finish(query, weights.query_norm);
      kernels.rotate(turns, heads.width, all + query);
    }
    finish(heads.Key(kv_head), weights.key_norm);
    kernels.rotate(turns, heads.width, all + heads.Key(kv_head));
    finish(heads.Value(kv_head), nullptr);
    kernels.store(all + heads.Key(kv_head), all + heads.Value(kv_head), rows.positions[row],
                  cache.Head(rows.first_slot + row / rows.length, kv_head));
  }
}

// Queries of a row that share a key head.
struct Queries {
  int64_t row = 0;
  int64_t head = 0;
  int64_t heads = 0;
  HeadCache cache = {};
};

// Calls use(Queries) for the queries of a part. Rows attend to different numbers of positions, so the work is divided
// by these numbers.
template <class Use>
void ForQueries(const Rows& rows, const LayerCache& cache, const Heads& heads, const Part& part, Use use) {
  int64_t cost = 0;
  for (int64_t row = 0; row < rows.count(); ++row) cost += (rows.positions[row] + 1) * heads.queries();
  const Span share = part.Of(cost);
  int64_t before = 0;
  for (int64_t row = 0; row < rows.count() && before < share.end; ++row) {
    const int64_t each = rows.positions[row] + 1;
    // The first head whose cost begins at `bound` or after it.
    const auto head_at = [&](int64_t bound) {
      return bound <= before ? 0 : std::min((bound - before + each - 1) / each, heads.queries());
    };
    const int64_t end = head_at(share.end);
    for (int64_t head = head_at(share.begin); head < end;) {
      const int64_t kv_head = head / heads.group;
      const int64_t together = std::min({end - head, (kv_head + 1) * heads.group - head, kMaxHeadsAtOnce});
      use(Queries{row, head, together, cache.Head(rows.first_slot + row / rows.length, kv_head)});
      head += together;
    }
    before += each * heads.queries();
  }
}

void Attend(const Decoding& decoding, const LayerCache& cache, const Heads& heads, const float* qkv, int64_t qkv_width,
            const Activations& to, float* own, const Part& part) {
  const Kernels& kernels = *decoding.kernels;
  float* attended = own;
  float* scratch = own + kMaxHeadsAtOnce * heads.width;
  const auto run = [&](const Queries& queries, const HeadCache& next) {
    kernels.attend(qkv + queries.row * qkv_width + heads.Query(queries.head), queries.heads, queries.cache,
                   decoding.rows.positions[queries.row] + 1, next.keys, scratch, attended);
    kernels.put(attended, queries.heads * heads.width, queries.row, heads.Query(queries.head), to);
  };
  // Runs one call behind, so that each call prefetches the keys of the next one.
  Queries last;
  ForQueries(decoding.rows, cache, heads, part, [&](const Queries& queries) {
    if (last.heads > 0) run(last, queries.cache);
    last = queries;
  });
  if (last.heads > 0) run(last, last.cache);
}

// y = rows of x times the matrix, or y += that product.
void RunMultiply(const Kernels& kernels, const PackedMatrix& matrix, const Activations& x, int64_t rows, bool add,
                 float* y, Member& member) {
  member.Divide(matrix.panels(),
                [&](const Part& part) { kernels.multiply(matrix, part.Of(matrix.panels()), x, rows, add, y); });
}

}  // namespace

HeadCache LayerCache::Head(int64_t slot, int64_t kv_head) const {
  auto* keys = static_cast<uint8_t*>(data) + (slot * 2 * kv_heads + kv_head) * HeadBytes();
  return {.keys = keys, .values = keys + kv_heads * HeadBytes(), .element = element, .width = head_width};
}

void CopyPositions(const HeadCache& from, const HeadCache& to, int64_t begin, int64_t end) {
  const int64_t bytes = from.element == CacheElement::kF16 ? 2 : 4;
  const auto copy = [&](const void* source, void* destination, int64_t first, int64_t count) {
    std::memcpy(static_cast<uint8_t*>(destination) + first * bytes, static_cast<const uint8_t*>(source) + first * bytes,
                static_cast<size_t>(count * bytes));
  };
  copy(from.values, to.values, begin * from.width, (end - begin) * from.width);
  for (int64_t position = begin; position < end;) {
    const int64_t block = position / HeadCache::kBlock * HeadCache::kBlock;
    const int64_t count = std::min(block + HeadCache::kBlock, end) - position;
    if (count == HeadCache::kBlock) {
      copy(from.keys, to.keys, block * from.width, count * from.width);
    } else {
      for (int64_t i = 0; i < from.width; ++i) {
        copy(from.keys, to.keys, block * from.width + i * HeadCache::kBlock + position - block, count);
      }
    }
    position += count;
  }
}

void Scratch::NeedAttention(const Decoding& decoding, const AttentionWeights& weights, const LayerCache& cache) {
  const int64_t rows = decoding.rows.count();
  NeedLinear(rows, weights.qkv);
  inner_bytes_ = std::max(inner_bytes_, InputBytes(rows, weights.output));
  qkv_bytes_ = std::max(qkv_bytes_, FloatBytes(rows * weights.qkv.rows));
  const int64_t longest = *std::max_element(decoding.rows.positions, decoding.rows.positions + rows) + 1;
  own_bytes_ = std::max(own_bytes_, FloatBytes(kMaxHeadsAtOnce * cache.head_width + AttentionScratch(longest)));
}

void Scratch::NeedFeedForward(const Decoding& decoding, const FeedForwardWeights& weights) {
  NeedLinear(decoding.rows.count(), weights.gate_up);
  inner_bytes_ = std::max(inner_bytes_, InputBytes(decoding.rows.count(), weights.down));
}

void Scratch::NeedLinear(int64_t rows, const PackedMatrix& matrix) {
  input_bytes_ = std::max(input_bytes_, InputBytes(rows, matrix));
  own_bytes_ = std::max(own_bytes_, FloatBytes(matrix.columns));
}

void Scratch::Allocate(int members) {
  thread_local Memory memory;
  memory_ = memory.AtLeast(input_bytes_ + inner_bytes_ + qkv_bytes_ + members * own_bytes_);
}

float* Scratch::qkv() const {
  return reinterpret_cast<float*>(inner() + inner_bytes_);
}

float* Scratch::own(int member) const {
  return reinterpret_cast<float*>(inner() + inner_bytes_ + qkv_bytes_ + member * own_bytes_);
}

void RunAttention(const Decoding& decoding, const AttentionWeights& weights, const LayerCache& cache,
                  const Scratch& scratch, Member& member) {
  const Kernels& kernels = *decoding.kernels;
  const int64_t rows = decoding.rows.count();
  const Heads heads = HeadsOf(weights, cache);
  RunLinear(kernels, decoding.x, rows, weights.norm, decoding.epsilon, weights.qkv, scratch.qkv(), scratch, member);
  member.Divide(rows * heads.kv, [&](const Part& part) {
    Turn(decoding, weights, cache, heads, scratch.qkv(), part.Of(rows * heads.kv));
  });
  const Activations attended = InputOf(weights.output, scratch.inner());
  member.Divide(rows * heads.queries(), [&](const Part& part) {
    Attend(decoding, cache, heads, scratch.qkv(), weights.qkv.rows, attended, scratch.own(member.index()), part);
  });
  RunMultiply(kernels, weights.output, attended, rows, true, decoding.x, member);
}

void RunFeedForward(const Decoding& decoding, const FeedForwardWeights& weights, const Scratch& scratch,
                    Member& member) {
  const Kernels& kernels = *decoding.kernels;
  const int64_t rows = decoding.rows.count();
  const Activations input = InputOf(weights.gate_up, scratch.input());
  PutRows(kernels, decoding.x, rows, weights.norm, decoding.epsilon, input, scratch.own(member.index()), member);
  const Activations gated = InputOf(weights.down, scratch.inner());
  const int64_t groups = weights.down.groups();
  member.Divide(
      groups, [&](const Part& part) { kernels.multiply_gated(weights.gate_up, part.Of(groups), input, rows, gated); });
  RunMultiply(kernels, weights.down, gated, rows, true, decoding.x, member);
}

void RunLinear(const Kernels& kernels, const float* x, int64_t rows, const float* norm, float epsilon,
               const PackedMatrix& matrix, float* y, const Scratch& scratch, Member& member) {
  const Activations input = InputOf(matrix, scratch.input());
  PutRows(kernels, x, rows, norm, epsilon, input, scratch.own(member.index()), member);
  RunMultiply(kernels, matrix, input, rows, false, y, member);
}

}  // namespace predictd
