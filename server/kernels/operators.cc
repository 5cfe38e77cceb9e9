// The operators of torch.ops.predictd. All arguments are checked here, before any thread is started: nothing within a
// team checks or throws. Any number of threads may call them at once, as long as none writes what another one uses.

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <omp.h>
#include <torch/library.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <optional>
#include <vector>

#include "server/kernels/decoder_layer.h"
#include "server/kernels/huge_pages.h"
#include "server/kernels/kernels.h"
#include "server/kernels/packed_matrix.h"

namespace predictd {
namespace {

using at::Tensor;

// Limits under which no product of sizes overflows.
constexpr int64_t kMostRows = int64_t{1} << 24;
constexpr int64_t kMostColumns = int64_t{1} << 24;

// Runs a function on a team of this thread's number of intra-op threads, or on this thread alone within another
// parallel region.
template <class Body>
void RunTeam(Scratch& scratch, int64_t phases, Body body) {
  const int threads = omp_in_parallel() != 0 ? 1 : at::get_num_threads();
  scratch.Allocate(threads);
  Team team(phases);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    Member member(omp_get_thread_num(), omp_get_num_threads(), team);
    body(member);
  }
}

void CheckTensor(const Tensor& tensor, at::ScalarType type, at::IntArrayRef shape, const char* name) {
  TORCH_CHECK(
      tensor.scalar_type() == type && tensor.sizes() == shape && tensor.is_contiguous() && tensor.device().is_cpu(),
      name, ": expected a contiguous ", type, " tensor of shape ", shape, " in memory, got ", tensor.scalar_type(), " ",
      tensor.sizes());
}

void CheckMatrix(const Tensor& tensor, at::ScalarType type, const char* name) {
  TORCH_CHECK(tensor.dim() == 2 && tensor.size(0) > 0 && tensor.size(0) % kPanelRows == 0 && tensor.size(1) > 0 &&
                  tensor.size(1) % kGroup == 0,
              name, ": expected rows in multiples of ", kPanelRows, " and columns in multiples of ", kGroup, ", got ",
              tensor.sizes());
  CheckTensor(tensor, type, tensor.sizes(), name);
}

PackedMatrix Matrix(const Tensor& packed, int64_t columns, const char* name) {
  TORCH_CHECK(columns > 0 && columns % kGroup == 0 && columns <= kMostColumns, name,
              ": expected columns in multiples of ", kGroup, ", got ", columns);
  TORCH_CHECK(packed.dim() == 2 && packed.size(0) > 0 && packed.size(0) <= kMostRows / kPanelRows, name,
              ": expected a packed matrix, got ", packed.sizes());
  CheckTensor(packed, at::kByte, packed.sizes(), name);
  const std::optional<WeightFormat> format = FormatOf(packed.size(1), columns);
  TORCH_CHECK(format.has_value(), name, ": panels of ", packed.size(1), " bytes are no packed matrix of ", columns,
              " columns");
  return {.data = packed.const_data_ptr<uint8_t>(),
          .format = *format,
          .rows = packed.size(0) * kPanelRows,
          .columns = columns};
}

// The matrix, which must have that many rows.
PackedMatrix Matrix(const Tensor& packed, int64_t rows, int64_t columns, const char* name) {
  const PackedMatrix matrix = Matrix(packed, columns, name);
  TORCH_CHECK(matrix.rows == rows, name, ": expected ", rows, " rows, got ", matrix.rows);
  return matrix;
}

const float* Factors(const Tensor& tensor, int64_t count, const char* name) {
  CheckTensor(tensor, at::kFloat, {count}, name);
  return tensor.const_data_ptr<float>();
}

Tensor PackedTensor(int64_t rows, int64_t columns, WeightFormat format) {
  return at::empty({rows / kPanelRows, PanelBytes(format, columns)}, at::kByte);
}

const uint16_t* HalfBits(const Tensor& tensor) {
  return static_cast<const uint16_t*>(tensor.const_data_ptr());
}

Tensor PackQ4Tensor(const Tensor& quants, const Tensor& scales, const Tensor& minima) {
  CheckMatrix(quants, at::kByte, "quants");
  const int64_t rows = quants.size(0);
  const int64_t columns = quants.size(1);
  CheckTensor(scales, at::kHalf, {rows, columns / kGroup}, "scales");
  CheckTensor(minima, at::kHalf, {rows, columns / kGroup}, "minima");
  const auto* all = quants.const_data_ptr<uint8_t>();
  TORCH_CHECK(std::all_of(all, all + quants.numel(), [](uint8_t quant) { return quant < 16; }),
              "quants: expected 0 to 15");
  Tensor packed = PackedTensor(rows, columns, WeightFormat::kQ4);
  PackQ4(quants.const_data_ptr<uint8_t>(), HalfBits(scales), HalfBits(minima), rows, columns,
         packed.mutable_data_ptr<uint8_t>());
  return packed;
}

Tensor PackQ8Tensor(const Tensor& quants, const Tensor& scales) {
  CheckMatrix(quants, at::kChar, "quants");
  const int64_t rows = quants.size(0);
  const int64_t columns = quants.size(1);
  CheckTensor(scales, at::kHalf, {rows, columns / kGroup}, "scales");
  Tensor packed = PackedTensor(rows, columns, WeightFormat::kQ8);
  PackQ8(quants.const_data_ptr<int8_t>(), HalfBits(scales), rows, columns, packed.mutable_data_ptr<uint8_t>());
  return packed;
}

Tensor PackF16Tensor(const Tensor& weight) {
  CheckMatrix(weight, at::kHalf, "weight");
  Tensor packed = PackedTensor(weight.size(0), weight.size(1), WeightFormat::kF16);
  PackF16(HalfBits(weight), weight.size(0), weight.size(1), packed.mutable_data_ptr<uint8_t>());
  return packed;
}

Tensor Unpack(const Tensor& packed, int64_t columns) {
  const PackedMatrix matrix = Matrix(packed, columns, "packed");
  Tensor rows = at::empty({matrix.rows, columns}, at::kFloat);
  for (int64_t row = 0; row < matrix.rows; ++row)
    UnpackRow(matrix, row, rows.mutable_data_ptr<float>() + row * columns);
  return rows;
}

Tensor Embedding(const Tensor& tokens, const Tensor& packed, int64_t columns) {
  const PackedMatrix matrix = Matrix(packed, columns, "packed");
  CheckTensor(tokens, at::kLong, {tokens.numel()}, "tokens");
  const auto* ids = tokens.const_data_ptr<int64_t>();
  Tensor rows = at::empty({tokens.numel(), columns}, at::kFloat);
  for (int64_t i = 0; i < tokens.numel(); ++i) {
    TORCH_CHECK(ids[i] >= 0 && ids[i] < matrix.rows, "token ", ids[i], " is not one of ", matrix.rows);
    UnpackRow(matrix, ids[i], rows.mutable_data_ptr<float>() + i * columns);
  }
  return rows;
}

Tensor Linear(const Tensor& x, const Tensor& packed, const std::optional<Tensor>& norm, double epsilon) {
  TORCH_CHECK(x.dim() >= 1, "x: expected rows, got a number");
  CheckTensor(x, at::kFloat, x.sizes(), "x");
  const int64_t columns = x.size(-1);
  const PackedMatrix matrix = Matrix(packed, columns, "packed");
  const float* factors = norm.has_value() ? Factors(*norm, columns, "norm") : nullptr;
  const int64_t rows = x.numel() / columns;
  TORCH_CHECK(rows <= kMostRows, "x: at most ", kMostRows, " rows, got ", rows);
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = matrix.rows;
  Tensor y = at::empty(shape, at::kFloat);
  Scratch scratch;
  scratch.NeedLinear(rows, matrix);
  const Kernels& kernels = BestKernels();
  RunTeam(scratch, kLinearPhases,
          [&, from = x.const_data_ptr<float>(), to = y.mutable_data_ptr<float>()](Member& member) {
            RunLinear(kernels, from, rows, factors, static_cast<float>(epsilon), matrix, to, scratch, member);
          });
  return y;
}

Decoding DecodingOf(const Tensor& x, double epsilon) {
  TORCH_CHECK(x.dim() == 2 && x.size(0) <= kMostRows, "x: expected [rows, width], got ", x.sizes());
  CheckTensor(x, at::kFloat, x.sizes(), "x");
  return {.kernels = &BestKernels(),
          .rows = {.sequences = x.size(0), .length = 1},
          .x = x.mutable_data_ptr<float>(),
          .width = x.size(1),
          .epsilon = static_cast<float>(epsilon)};
}

LayerCache Cache(const Tensor& cache) {
  TORCH_CHECK(cache.dim() == 5 && cache.size(1) == 2 && cache.size(3) % HeadCache::kBlock == 0 &&
                  cache.size(4) % kGroup == 0 && cache.size(4) > 0 &&
                  (cache.scalar_type() == at::kHalf || cache.scalar_type() == at::kFloat),
              "cache: expected half or float [slots, 2, key heads, positions in multiples of ", HeadCache::kBlock,
              ", head width in multiples of ", kGroup, "], got ", cache.scalar_type(), " ", cache.sizes());
  CheckTensor(cache, cache.scalar_type(), cache.sizes(), "cache");
  return {.data = cache.mutable_data_ptr(),
          .element = cache.scalar_type() == at::kHalf ? CacheElement::kF16 : CacheElement::kF32,
          .slots = cache.size(0),
          .kv_heads = cache.size(2),
          .positions = cache.size(3),
          .head_width = cache.size(4)};
}

// Sets the rows of `decoding`. `cache` stands for the caches of all layers. Returns the positions to which the rows
// refer: a copy, so that nobody changes them while they are used.
std::vector<int64_t> SetRows(const Tensor& positions, int64_t first_slot, const Tensor& turns, const LayerCache& cache,
                             Decoding& decoding) {
  TORCH_CHECK(positions.dim() == 2 && positions.numel() == decoding.rows.count(), "positions: expected ",
              decoding.rows.count(), " for the rows of x as [sequences, length], got ", positions.sizes());
  CheckTensor(positions, at::kLong, positions.sizes(), "positions");
  TORCH_CHECK(turns.dim() == 2 && turns.size(1) == cache.head_width, "turns: expected [positions, ", cache.head_width,
              "], got ", turns.sizes());
  CheckTensor(turns, at::kFloat, turns.sizes(), "turns");
  const auto* first = positions.const_data_ptr<int64_t>();
  std::vector<int64_t> all(first, first + positions.numel());
  const int64_t room = std::min(cache.positions, turns.size(0));
  const int64_t length = positions.size(1);
  for (size_t i = 0; i < all.size(); ++i) {
    TORCH_CHECK(all[i] >= 0 && all[i] < room, "position ", all[i], " is not one of ", room);
    TORCH_CHECK(i % static_cast<size_t>(length) == 0 || all[i] > all[i - 1],
                "positions: those of a sequence must rise");
  }
  TORCH_CHECK(first_slot >= 0 && first_slot <= cache.slots - positions.size(0), "slots ", first_slot, " to ",
              first_slot + positions.size(0) - 1, " are not among ", cache.slots);
  decoding.rows = {.sequences = positions.size(0),
                   .length = length,
                   .positions = all.data(),
                   .first_slot = first_slot,
                   .turns = turns.const_data_ptr<float>()};
  return all;
}

AttentionWeights Attention(const Tensor& norm, const Tensor& qkv, const std::optional<Tensor>& bias,
                           const std::optional<Tensor>& head_norms, const Tensor& output, int64_t width,
                           const LayerCache& cache) {
  AttentionWeights weights{.norm = Factors(norm, width, "norm"), .qkv = Matrix(qkv, width, "qkv")};
  const int64_t queries = weights.qkv.rows - 2 * cache.kv_heads * cache.head_width;
  TORCH_CHECK(cache.kv_heads > 0 && queries > 0 && queries % (cache.kv_heads * cache.head_width) == 0,
              "qkv: ", weights.qkv.rows, " rows are not the heads of queries, keys and values, of width ",
              cache.head_width, ", for ", cache.kv_heads, " key heads");
  weights.output = Matrix(output, width, queries, "output");
  if (bias.has_value()) weights.bias = Factors(*bias, weights.qkv.rows, "bias");
  if (head_norms.has_value()) {
    CheckTensor(*head_norms, at::kFloat, {2, cache.head_width}, "head_norms");
    weights.query_norm = head_norms->const_data_ptr<float>();
    weights.key_norm = weights.query_norm + cache.head_width;
  }
  return weights;
}

FeedForwardWeights FeedForward(const Tensor& norm, const Tensor& gate_up, const Tensor& down, int64_t width) {
  FeedForwardWeights weights{.norm = Factors(norm, width, "norm"), .gate_up = Matrix(gate_up, width, "gate_up")};
  weights.down = Matrix(down, width, weights.gate_up.rows / 2, "down");
  return weights;
}

void AttentionBlock(const Tensor& x, const Tensor& norm, double epsilon, const Tensor& qkv,
                    const std::optional<Tensor>& bias, const std::optional<Tensor>& head_norms, const Tensor& output,
                    const Tensor& turns, const Tensor& positions, int64_t first_slot, const Tensor& cache) {
  Decoding decoding = DecodingOf(x, epsilon);
  const LayerCache layer_cache = Cache(cache);
  const std::vector<int64_t> own_positions = SetRows(positions, first_slot, turns, layer_cache, decoding);
  const AttentionWeights weights = Attention(norm, qkv, bias, head_norms, output, decoding.width, layer_cache);
  if (x.numel() == 0) return;
  Scratch scratch;
  scratch.NeedAttention(decoding, weights, layer_cache);
  RunTeam(scratch, kAttentionPhases,
          [&](Member& member) { RunAttention(decoding, weights, layer_cache, scratch, member); });
}

void FeedForwardBlock(const Tensor& x, const Tensor& norm, double epsilon, const Tensor& gate_up, const Tensor& down) {
  const Decoding decoding = DecodingOf(x, epsilon);
  const FeedForwardWeights weights = FeedForward(norm, gate_up, down, decoding.width);
  Scratch scratch;
  scratch.NeedFeedForward(decoding, weights);
  RunTeam(scratch, kFeedForwardPhases, [&](Member& member) { RunFeedForward(decoding, weights, scratch, member); });
}

// The layer's tensor in a list that is empty or has one for each layer.
std::optional<Tensor> OneOf(at::TensorList list, size_t layer, size_t layers, const char* name) {
  TORCH_CHECK(list.empty() || list.size() == layers, name, ": expected none, or one for each of ", layers,
              " layers, got ", list.size());
  return list.empty() ? std::nullopt : std::optional<Tensor>(list[layer]);
}

void Layers(const Tensor& x, double epsilon, at::TensorList weights, at::TensorList biases, at::TensorList head_norms,
            const Tensor& turns, const Tensor& positions, int64_t first_slot, at::TensorList cache) {
  constexpr size_t kWeights = 6;
  const size_t layers = cache.size();
  TORCH_CHECK(layers > 0 && weights.size() == kWeights * layers, "weights: expected ", kWeights, " for each of ",
              layers, " layers, got ", weights.size());
  struct Layer {
    AttentionWeights attention;
    FeedForwardWeights feed_forward;
    LayerCache cache;
  };
  Decoding decoding = DecodingOf(x, epsilon);
  const LayerCache first_cache = Cache(cache[0]);
  const std::vector<int64_t> own_positions = SetRows(positions, first_slot, turns, first_cache, decoding);
  std::vector<Layer> all(layers);
  Scratch scratch;
  for (size_t i = 0; i < layers; ++i) {
    const Tensor* of = &weights[i * kWeights];
    CheckTensor(cache[i], cache[0].scalar_type(), cache[0].sizes(), "cache");
    all[i].cache = Cache(cache[i]);
    all[i].attention = Attention(of[0], of[1], OneOf(biases, i, layers, "biases"),
                                 OneOf(head_norms, i, layers, "head_norms"), of[2], decoding.width, all[i].cache);
    all[i].feed_forward = FeedForward(of[3], of[4], of[5], decoding.width);
  }
  if (x.numel() == 0) return;
  for (const Layer& layer : all) {
    scratch.NeedAttention(decoding, layer.attention, layer.cache);
    scratch.NeedFeedForward(decoding, layer.feed_forward);
  }
  const auto phases = static_cast<int64_t>(layers) * (kAttentionPhases + kFeedForwardPhases);
  RunTeam(scratch, phases, [&](Member& member) {
    for (const Layer& layer : all) {
      RunAttention(decoding, layer.attention, layer.cache, scratch, member);
      RunFeedForward(decoding, layer.feed_forward, scratch, member);
    }
  });
}

std::shared_ptr<void> Memory(int64_t bytes) {
  try {
    return HugePages(static_cast<size_t>(bytes));
  } catch (const std::bad_alloc&) {
    TORCH_CHECK(false, "there is no memory for ", bytes, " bytes");
  }
}

Tensor OnHugePages(at::IntArrayRef shape, at::ScalarType type) {
  int64_t bytes = static_cast<int64_t>(c10::elementSize(type));
  for (const int64_t size : shape) {
    TORCH_CHECK(size >= 0 && !__builtin_mul_overflow(bytes, size, &bytes), "a tensor of shape ", shape,
                " is too large");
  }
  std::shared_ptr<void> memory = Memory(bytes);
  void* data = memory.get();
  return at::from_blob(
      data, shape, [memory = std::move(memory)](void*) {}, at::dtype(type));
}

Tensor MakeCache(int64_t slots, int64_t kv_heads, int64_t positions, int64_t head_width, at::ScalarType type) {
  TORCH_CHECK(slots > 0 && kv_heads > 0 && positions > 0, "a cache needs slots, key heads and positions");
  Tensor cache = OnHugePages({slots, 2, kv_heads, positions, head_width}, type);
  static_cast<void>(Cache(cache));
  return cache;
}

void CopySlot(const Tensor& cache, int64_t source, int64_t destination, int64_t begin, int64_t end) {
  const LayerCache layer = Cache(cache);
  TORCH_CHECK(std::min(source, destination) >= 0 && std::max(source, destination) < layer.slots, "slots ", source,
              " and ", destination, " are not among ", layer.slots);
  TORCH_CHECK(begin >= 0 && begin <= end && end <= layer.positions, "positions ", begin, " up to ", end,
              " are not among ", layer.positions);
  if (source == destination) return;
  for (int64_t head = 0; head < layer.kv_heads; ++head) {
    CopyPositions(layer.Head(source, head), layer.Head(destination, head), begin, end);
  }
}

std::vector<Tensor> Place(at::TensorList tensors) {
  // Vectors are read at multiples of 64 bytes.
  constexpr int64_t kAlignment = 64;
  int64_t bytes = 0;
  for (const Tensor& tensor : tensors) {
    CheckTensor(tensor, tensor.scalar_type(), tensor.sizes(), "tensors");
    bytes += (static_cast<int64_t>(tensor.nbytes()) + kAlignment - 1) / kAlignment * kAlignment;
  }
  const std::shared_ptr<void> memory = Memory(bytes);
  auto* next = static_cast<uint8_t*>(memory.get());
  std::vector<Tensor> placed;
  for (const Tensor& tensor : tensors) {
    if (tensor.nbytes() > 0) std::memcpy(next, tensor.const_data_ptr(), tensor.nbytes());
    placed.push_back(at::from_blob(
        next, tensor.sizes(), [memory](void*) {}, tensor.options()));
    next += (static_cast<int64_t>(tensor.nbytes()) + kAlignment - 1) / kAlignment * kAlignment;
  }
  return placed;
}

}  // namespace

// packed_matrix.h and decoder_layer.h describe the layouts of the matrices, the cache and the rest.
TORCH_LIBRARY(predictd, library) {
  // Packs matrices. Groups of 32 columns have a scale, and for 4 bits a minimum, in half precision.
  library.def("pack_q4(Tensor quants, Tensor scales, Tensor minima) -> Tensor", PackQ4Tensor);
  library.def("pack_q8(Tensor quants, Tensor scales) -> Tensor", PackQ8Tensor);
  library.def("pack_f16(Tensor weight) -> Tensor", PackF16Tensor);
  library.def("unpack(Tensor packed, int columns) -> Tensor", Unpack);
  // Looks up rows of a packed matrix. A padded matrix has more rows than there are tokens; the rest are zeros.
  library.def("embedding(Tensor tokens, Tensor packed, int columns) -> Tensor", Embedding);
  library.def("linear(Tensor x, Tensor packed, Tensor? norm, float epsilon) -> Tensor", Linear);
  library.def(
      "attention_(Tensor(a!) x, Tensor norm, float epsilon, Tensor qkv, Tensor? bias, Tensor? head_norms, Tensor "
      "output, Tensor turns, Tensor positions, int first_slot, Tensor(b!) cache) -> ()",
      AttentionBlock);
  library.def("feed_forward_(Tensor(a!) x, Tensor norm, float epsilon, Tensor gate_up, Tensor down) -> ()",
              FeedForwardBlock);
  // Runs all blocks of a decoder in one parallel region. `weights` has six tensors for each layer: attention norm, qkv,
  // output, feed forward norm, gate_up, down.
  library.def(
      "layers_(Tensor(a!) x, float epsilon, Tensor[] weights, Tensor[] biases, Tensor[] head_norms, Tensor turns, "
      "Tensor positions, int first_slot, Tensor(b!)[] cache) -> ()",
      Layers);
  library.def("make_cache(int slots, int kv_heads, int positions, int head_width, ScalarType dtype) -> Tensor",
              MakeCache);
  library.def("copy_slot_(Tensor(a!) cache, int source, int destination, int begin, int end) -> ()", CopySlot);
  // Copies tensors to huge pages, one after the other.
  library.def("place(Tensor[] tensors) -> Tensor[]", Place);
}

}  // namespace predictd
