#ifndef PREDICTD_SERVER_KERNELS_DECODER_LAYER_H_
#define PREDICTD_SERVER_KERNELS_DECODER_LAYER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "server/kernels/kernels.h"
#include "server/kernels/team.h"

namespace predictd {

// x += output(attention(norm(x))).
struct AttentionWeights {
  const float* norm = nullptr;
  // Rows: the heads of queries, those that share a key head beside each other, then of keys, then of values.
  PackedMatrix qkv = {};
  // For each row of qkv; may be null.
  const float* bias = nullptr;
  // Factors of a norm of each head of queries, and of keys; may be null.
  const float* query_norm = nullptr;
  const float* key_norm = nullptr;
  PackedMatrix output = {};
};

// x += down(silu(gate(norm(x))) * up(norm(x))).
struct FeedForwardWeights {
  const float* norm = nullptr;
  // By turns 16 rows of gate and 16 of up.
  PackedMatrix gate_up = {};
  PackedMatrix down = {};
};

// Keys and values of a layer: [slots, 2, kv_heads, positions, head_width], as HeadCache has them in the last two.
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

// Copies positions [begin, end) between heads of caches of the same kind, whose memory does not overlap.
void CopyPositions(const HeadCache& from, const HeadCache& to, int64_t begin, int64_t end);

// The rows of x: `length` tokens of each sequence.
struct Rows {
  int64_t sequences = 0;
  int64_t length = 0;
  // Of each row. Those of a sequence rise; those before its first are in the cache.
  const int64_t* positions = nullptr;
  // Sequence i is in slot first_slot + i.
  int64_t first_slot = 0;
  // For each position cosine and sine of each pair of a head.
  const float* turns = nullptr;

  int64_t count() const { return sequences * length; }
};

// What does not change from layer to layer.
struct Decoding {
  const Kernels* kernels = nullptr;
  Rows rows;
  // [rows, width], to which each block adds.
  float* x = nullptr;
  int64_t width = 0;
  float epsilon = 0;
};

// Room for what a team computes on the way, made before it begins. Each thread that begins steps keeps its largest
// one for the next: fresh memory would cost more than small steps.
class Scratch {
 public:
  // What a block needs. Call them for every block, then Allocate() once.
  void NeedAttention(const Decoding& decoding, const AttentionWeights& weights, const LayerCache& cache);
  void NeedFeedForward(const Decoding& decoding, const FeedForwardWeights& weights);
  void NeedLinear(int64_t rows, const PackedMatrix& matrix);
  void Allocate(int members);

  // Of which a matrix takes its input: rows, normed.
  uint8_t* input() const { return memory_; }
  // What lies between the two matrices of a block.
  uint8_t* inner() const { return memory_ + input_bytes_; }
  // Queries, keys and values.
  float* qkv() const;
  // Of one member.
  float* own(int member) const;

 private:
  int64_t input_bytes_ = 0;
  int64_t inner_bytes_ = 0;
  int64_t qkv_bytes_ = 0;
  int64_t own_bytes_ = 0;
  uint8_t* memory_ = nullptr;
};

// Called by all members of a team with the same arguments; x is whole again when one has returned from it. Nothing is
// checked and nothing fails: that is done before. Each takes some of the team's phases.
inline constexpr int64_t kLinearPhases = 2;
inline constexpr int64_t kAttentionPhases = 5;
inline constexpr int64_t kFeedForwardPhases = 3;
void RunAttention(const Decoding& decoding, const AttentionWeights& weights, const LayerCache& cache,
                  const Scratch& scratch, Member& member);
void RunFeedForward(const Decoding& decoding, const FeedForwardWeights& weights, const Scratch& scratch,
                    Member& member);

// y = x times the matrix, for rows of x as they are (`norm` null) or normed.
void RunLinear(const Kernels& kernels, const float* x, int64_t rows, const float* norm, float epsilon,
               const PackedMatrix& matrix, float* y, const Scratch& scratch, Member& member);

}  // namespace predictd

#endif  // PREDICTD_SERVER_KERNELS_DECODER_LAYER_H_
