#ifndef PREDICTD_SERVER_KERNELS_DECODER_LAYER_H_
#define PREDICTD_SERVER_KERNELS_DECODER_LAYER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "server/kernels/kernels.h"
#include "server/kernels/team.h"

namespace predictd {

// The weights of x += output(attention(norm(x))).
struct AttentionWeights {
  const float* norm = nullptr;
  // The rows are the query heads, with those that share a key head next to each other, then the key heads, then the
  // value heads.
  PackedMatrix qkv = {};
  // One number for each row of qkv; may be null.
  const float* bias = nullptr;
  // The factors of a norm of each query head and of each key head; may be null.
  const float* query_norm = nullptr;
  const float* key_norm = nullptr;
  PackedMatrix output = {};
};

// The weights of x += down(silu(gate(norm(x))) * up(norm(x))).
struct FeedForwardWeights {
  const float* norm = nullptr;
  // 16 rows of gate and 16 rows of up alternate.
  PackedMatrix gate_up = {};
  PackedMatrix down = {};
};

// The keys and values of a layer: [slots, 2, kv_heads, positions, head_width], where HeadCache describes the last two
// dimensions.
struct LayerCache {
  void* data = nullptr;
  CacheElement element = CacheElement::kF16;
  int64_t slots = 0;
  int64_t kv_heads = 0;
  int64_t positions = 0;
  int64_t head_width = 0;

  int64_t HeadBytes() const { return positions * head_width * (element == CacheElement::kF16 ? 2 : 4); }
  HeadCache Head(int64_t slot, int64_t kv_head) const;
};

// Copies positions [begin, end) between the caches of two heads of the same kind, whose memory must not overlap.
void CopyPositions(const HeadCache& from, const HeadCache& to, int64_t begin, int64_t end);

// The rows of x: `length` tokens of each sequence.
struct Rows {
  int64_t sequences = 0;
  int64_t length = 0;
  // The position of each row. Those of a sequence rise; positions before a sequence's first row are in the cache.
  const int64_t* positions = nullptr;
  // Sequence i occupies slot first_slot + i.
  int64_t first_slot = 0;
  // For each position, the cosine and sine of each pair of a head.
  const float* turns = nullptr;

  int64_t count() const { return sequences * length; }
};

// The arguments that do not change from layer to layer.
struct Decoding {
  const Kernels* kernels = nullptr;
  Rows rows;
  // [rows, width]; each block adds to it.
  float* x = nullptr;
  int64_t width = 0;
  float epsilon = 0;
};

// Memory for a team's intermediate results, allocated before the team starts. Each thread that starts steps keeps its
// largest allocation for the next step, because fresh memory would cost more than small steps.
class Scratch {
 public:
  // The needs of the blocks. Call these for every block, then Allocate() once.
  void NeedAttention(const Decoding& decoding, const AttentionWeights& weights, const LayerCache& cache);
  void NeedFeedForward(const Decoding& decoding, const FeedForwardWeights& weights);
  void NeedLinear(int64_t rows, const PackedMatrix& matrix);
  void Allocate(int members);

  // The rows, normalized, that a matrix takes as its input.
  uint8_t* input() const { return memory_; }
  // The intermediate result between the two matrices of a block.
  uint8_t* inner() const { return memory_ + input_bytes_; }
  // Queries, keys and values.
  float* qkv() const;
  // The memory that belongs to one member.
  float* own(int member) const;

 private:
  int64_t input_bytes_ = 0;
  int64_t inner_bytes_ = 0;
  int64_t qkv_bytes_ = 0;
  int64_t own_bytes_ = 0;
  uint8_t* memory_ = nullptr;
};

// All members of a team call these with the same arguments; x is complete when a member returns from the call. They
// check nothing and never fail: checks come before. Each takes this many of the team's phases.
inline constexpr int64_t kLinearPhases = 2;
inline constexpr int64_t kAttentionPhases = 5;
inline constexpr int64_t kFeedForwardPhases = 3;
void RunAttention(const Decoding& decoding, const AttentionWeights& weights, const LayerCache& cache,
                  const Scratch& scratch, Member& member);
void RunFeedForward(const Decoding& decoding, const FeedForwardWeights& weights, const Scratch& scratch,
                    Member& member);

// y = x times the matrix, for the rows of x as they are (if `norm` is null) or normalized.
void RunLinear(const Kernels& kernels, const float* x, int64_t rows, const float* norm, float epsilon,
               const PackedMatrix& matrix, float* y, const Scratch& scratch, Member& member);

}  // namespace predictd

#endif  // PREDICTD_SERVER_KERNELS_DECODER_LAYER_H_
