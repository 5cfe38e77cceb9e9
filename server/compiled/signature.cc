#include "server/compiled/signature.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "server/compiled/arguments.h"
#include "server/compiled/pairing.h"

namespace predictd {
namespace {

// PyTorch's lower bound for every dynamic extent.
constexpr int64_t kLeastOfAny = 2;
// From this many rows on LibTorch prefers oneDNN for a convolution.
constexpr int64_t kConvolutionRows = 16;
// An upper bound that no extent reaches.
constexpr int64_t kNoEnd = int64_t{1} << 62;

constexpr std::pair<absl::string_view, DType> kDTypes[] = {
    {"bool", DType::kBool},     {"uint8", DType::kUint8},  {"uint16", DType::kUint16}, {"uint32", DType::kUint32},
    {"uint64", DType::kUint64}, {"int8", DType::kInt8},    {"int16", DType::kInt16},   {"int32", DType::kInt32},
    {"int64", DType::kInt64},   {"float16", DType::kFp16}, {"bfloat16", DType::kBf16}, {"float32", DType::kFp32},
    {"float64", DType::kFp64},
};

// Our name, as in "FP32"; PyTorch's name for a type that we do not have.
std::string NameOfDType(absl::string_view pytorch) {
  for (const auto& [name, dtype] : kDTypes) {
    if (name == pytorch) return std::string(DTypeName(dtype));
  }
  return std::string(pytorch);
}

std::vector<std::string> ArgumentNames(const std::vector<Argument>& arguments) {
  std::vector<std::string> names;
  for (const Argument& argument : arguments) names.push_back(argument.spec.name);
  return names;
}

std::vector<std::string> SpecNames(const std::vector<TensorSpec>& specs) {
  std::vector<std::string> names;
  for (const TensorSpec& spec : specs) names.push_back(spec.name);
  return names;
}

// An extent of an argument that the compiled code does not fix.
struct Place {
  enum class Kind { kRows, kFixed, kPadded, kOpen };
  const Argument* argument = nullptr;
  size_t dimension = 0;
  Kind kind = Kind::kOpen;
  SizeExpression::Linear size = {};
  int64_t least = 0;
  int64_t most = 0;
};

std::string Where(const std::string& name, size_t dimension) {
  return absl::StrCat("dimension ", dimension, " of ", name);
}

// Formats bounds: "4 to 64", "at most 64".
std::string Ends(int64_t least, int64_t most) {
  if (least <= 1) return most >= kNoEnd ? "any" : absl::StrCat("at most ", most);
  return most >= kNoEnd ? absl::StrCat("at least ", least) : absl::StrCat(least, " to ", most);
}

// The bounds of an extent. For rows, and for extents that model.toml fixes, a lower bound that is no more than the one
// PyTorch always writes counts as none. For extents that callers choose it stands: code that reads the second element
// (`x[:, 1]`) has the same bound, and would read beyond a single one.
std::pair<int64_t, int64_t> EndsOf(const CompiledExtent& extent, bool chosen) {
  const int64_t most = std::min(extent.most, kNoEnd);
  if (chosen) return {extent.least, most};
  const auto linear = extent.size.has_value() ? extent.size->linear() : std::nullopt;
  if (!linear.has_value()) return {extent.least <= kLeastOfAny ? 0 : extent.least, most};
  const bool any = extent.least <= kLeastOfAny * linear->factor + linear->offset;
  return {any ? std::max<int64_t>(linear->offset, 0) : extent.least, most};
}

bool Divides(const SizeExpression::Linear& size, int64_t extent) {
  return extent >= size.offset && (extent - size.offset) % size.factor == 0;
}

class Fitting {
 public:
  Fitting(const CompiledSource& source, const Signature& signature)
      : source_(source), signature_(signature), arguments_(ArgumentsOf(signature)) {}

  absl::StatusOr<CompiledSignature> Fit(const std::vector<SpecLeaf>& inputs, const std::vector<SpecLeaf>& outputs) {
    absl::StatusOr<std::vector<size_t>> arguments = PairInputs(source_, inputs, ArgumentNames(arguments_));
    if (!arguments.ok()) return arguments.status();
    fitted_.arguments = *std::move(arguments);
    absl::StatusOr<std::vector<size_t>> used_outputs = PairOutputs(source_, outputs, SpecNames(signature_.outputs));
    if (!used_outputs.ok()) return used_outputs.status();
    fitted_.outputs = *std::move(used_outputs);
    for (size_t i = 0; i < source_.inputs.size(); ++i) {
      absl::Status status = FitInput(source_.inputs[i], arguments_[fitted_.arguments[i]]);
      if (!status.ok()) return status;
    }
    std::map<std::string, std::vector<Place>> groups;
    for (const Place& place : places_) groups[place.size.symbol].push_back(place);
    for (const auto& [symbol, places] : groups) {
      if (absl::Status status = FitGroup(places); !status.ok()) return status;
    }
    return std::move(fitted_);
  }

 private:
  static absl::Status Refused(absl::string_view message) { return absl::FailedPreconditionError(message); }

  absl::Status FitInput(const CompiledInput& input, const Argument& argument) {
    const std::string& name = argument.spec.name;
    if (NameOfDType(input.dtype) != DTypeName(argument.spec.dtype)) {
      return Refused(absl::StrCat("the package takes ", name, " as ", NameOfDType(input.dtype), ", model.toml says ",
                                  DTypeName(argument.spec.dtype)));
    }
    const Shape& shape = argument.spec.shape;
    if (input.extents.size() != shape.size()) {
      return Refused(absl::StrCat("the package takes ", name, " with ", input.extents.size(),
                                  " dimensions, model.toml says ", ShapeName(shape)));
    }
    for (size_t i = 0; i < shape.size(); ++i) {
      if (absl::Status status = FitExtent(input, argument, i); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status FitExtent(const CompiledInput& input, const Argument& argument, size_t dimension) {
    const CompiledExtent& extent = input.extents[dimension];
    const std::string where = Where(argument.spec.name, dimension);
    const int64_t said = argument.spec.shape[dimension];
    const bool rows = said == -1 && signature_.batched && dimension == 0;
    const auto [least, most] = EndsOf(extent, /*chosen=*/said == -1 && !rows);
    Place place = {.argument = &argument, .dimension = dimension, .least = least, .most = most};
    if (rows && source_.convolves) {
      // During compilation PyTorch asks how a convolution would be computed, and records on which side of 16 rows the
      // example was. The compiled code calls LibTorch's convolution, which asks again at each run: so it takes any
      // number of rows.
      if (place.most == kConvolutionRows - 1) place.most = kNoEnd;
      if (place.least == kConvolutionRows) place.least = 0;
    }
    if (said != -1) {
      place.kind = Place::Kind::kFixed;
      place.least = std::max(place.least, said);
      place.most = std::min(place.most, said);
    } else if (rows) {
      place.kind = Place::Kind::kRows;
    } else if (argument.padded == dimension) {
      place.kind = Place::Kind::kPadded;
    }
    if (extent.fixed.has_value()) return FitFixed(*extent.fixed, place, where);
    if (place.least > place.most) {
      return Refused(absl::StrCat(where, " is ", said, " in model.toml, the package takes ", Ends(least, most)));
    }
    if (place.kind == Place::Kind::kRows) {
      if (absl::Status status = FitRows(place); !status.ok()) return status;
    }
    const auto fits = [&](int64_t bucket) { return bucket >= place.least && bucket <= place.most; };
    if (place.kind == Place::Kind::kPadded) {
      for (int64_t bucket : signature_.padding.lengths[argument.length].buckets) {
        if (fits(bucket)) continue;
        return Refused(
            absl::StrCat(where, " is padded to ", bucket, " (pad_to), the package takes ", Ends(least, most)));
      }
    }
    if (!input.used) return absl::OkStatus();
    const auto linear = extent.size.has_value() ? extent.size->linear() : std::nullopt;
    if (!linear.has_value()) {
      // All inputs have the same rows, and fixed extents were compared with the bounds.
      if (place.kind == Place::Kind::kRows || place.kind == Place::Kind::kFixed) return absl::OkStatus();
      return Refused(
          absl::StrCat("the package does not tell what ", where,
                       " depends on: compile it with the PyTorch whose LibTorch this server uses, or fix the "
                       "dimension in model.toml"));
    }
    place.size = *linear;
    places_.push_back(std::move(place));
    return absl::OkStatus();
  }

  absl::Status FitFixed(int64_t fixed, const Place& place, const std::string& where) const {
    const std::vector<int64_t>* buckets =
        place.kind == Place::Kind::kPadded ? &signature_.padding.lengths[place.argument->length].buckets : nullptr;
    switch (place.kind) {
      case Place::Kind::kRows:
        if (fixed == 1 && signature_.max_batch_size == 1) return absl::OkStatus();
        return Refused(absl::StrCat(
            "the package takes exactly ", fixed, " rows of ", place.argument->spec.name, ", model.toml batches 1 to ",
            signature_.max_batch_size,
            ": export with dynamic_shapes for dimension 0, or say batched = false and shape = [", fixed, ", ...]"));
      case Place::Kind::kFixed:
        if (place.least == fixed && place.most == fixed) return absl::OkStatus();
        return Refused(absl::StrCat(where, " is ", fixed, " in the package, ",
                                    place.argument->spec.shape[place.dimension], " in model.toml"));
      case Place::Kind::kPadded:
        if (buckets->size() == 1 && buckets->front() == fixed) return absl::OkStatus();
        return Refused(absl::StrCat(where, " is ", fixed, " in the package, model.toml pads it to ",
                                    absl::StrJoin(*buckets, ", "),
                                    " (pad_to): export with dynamic_shapes for it, or "
                                    "pad to ",
                                    fixed));
      case Place::Kind::kOpen:
        break;
    }
    return Refused(absl::StrCat(where, " is ", fixed,
                                " in the package, -1 (any) in model.toml: export with "
                                "dynamic_shapes for it, or say ",
                                fixed));
  }

  absl::Status FitRows(const Place& place) const {
    const std::string& name = place.argument->spec.name;
    if (place.most < signature_.max_batch_size) {
      return Refused(absl::StrCat("the package takes at most ", place.most, " rows of ", name,
                                  ", model.toml batches up to ", signature_.max_batch_size,
                                  ": say max_batch_size = ", place.most, ", or export for more"));
    }
    if (place.least > 1) {
      return Refused(absl::StrCat("the package takes ", Ends(place.least, place.most), " rows of ", name,
                                  ", but a batch may have 1: export with min=1, or say batched = false"));
    }
    return absl::OkStatus();
  }

  // Checks extents that depend on the same symbol.
  absl::Status FitGroup(const std::vector<Place>& places) {
    const auto rows =
        std::find_if(places.begin(), places.end(), [](const Place& place) { return place.kind == Place::Kind::kRows; });
    if (rows != places.end()) return FitRowsGroup(places, *rows);
    int64_t least = 0;
    int64_t most = kNoEnd;
    size_t open = 0;
    bool one_length = true;
    for (const Place& place : places) {
      const SizeExpression::Linear& size = place.size;
      // In a warm-up an extent is at least 1.
      const int64_t smallest = std::max<int64_t>(place.least, 1);
      least = std::max(least, (smallest - size.offset + size.factor - 1) / size.factor);
      most = std::min(most, (place.most - size.offset) / size.factor);
      if (place.kind == Place::Kind::kOpen) ++open;
      const Place& first = places.front();
      one_length = one_length && place.kind == Place::Kind::kPadded &&
                   place.argument->length == first.argument->length && size.factor == first.size.factor &&
                   size.offset == first.size.offset;
      if (place.kind != Place::Kind::kPadded) continue;
      for (int64_t bucket : signature_.padding.lengths[place.argument->length].buckets) {
        if (Divides(size, bucket)) continue;
        return Refused(absl::StrCat(Where(place.argument->spec.name, place.dimension), " is padded to ", bucket,
                                    " (pad_to), the package takes multiples of ", size.factor,
                                    size.offset == 0 ? "" : absl::StrCat(" and ", size.offset)));
      }
    }
    if (least > most) {
      return Refused(absl::StrCat("the extents of ", NamesOf(places),
                                  " hang together in the package as they cannot in model.toml"));
    }
    if (one_length) return absl::OkStatus();
    const bool bound = places.size() > 1 || open == 0;
    for (const Place& place : places) {
      const bool sent = place.kind == Place::Kind::kOpen || place.kind == Place::Kind::kPadded;
      const bool limited = place.least > 0 || place.most < kNoEnd || place.size.factor > 1 || place.size.offset != 0;
      if (sent && (bound || limited)) AddLimit(place, least, most);
    }
    ++unknowns_;
    return absl::OkStatus();
  }

  void AddLimit(const Place& place, int64_t least, int64_t most) {
    const Argument& argument = *place.argument;
    const SizeExpression::Linear& size = place.size;
    InputLimits::Extent extent = {.input = argument.input,
                                  .dimension = place.dimension,
                                  .unknown = unknowns_,
                                  .factor = size.factor,
                                  .offset = size.offset,
                                  .least = place.least,
                                  .most = place.most,
                                  .smallest = least * size.factor + size.offset,
                                  .name = signature_.inputs[argument.input].name};
    // An extent that is fixed elsewhere is fixed here as well.
    if (least == most) extent.least = extent.most = extent.smallest;
    InputLimits::Extent of_run = extent;
    of_run.input = static_cast<size_t>(&argument - arguments_.data());
    fitted_.run_limits.extents.push_back(std::move(of_run));
    if (place.kind == Place::Kind::kPadded) {
      extent.length = argument.length;
      extent.dimension = signature_.padding.Find(argument.input)->dimension;
    }
    fitted_.limits.extents.push_back(std::move(extent));
  }

  static absl::Status FitRowsGroup(const std::vector<Place>& places, const Place& rows) {
    for (const Place& place : places) {
      if (place.kind == Place::Kind::kRows && place.size.factor == 1 && place.size.offset == 0) continue;
      if (place.kind == Place::Kind::kRows) {
        return Refused(absl::StrCat("the package takes only multiples of ", place.size.factor, " as rows of ",
                                    place.argument->spec.name, ": say batched = false"));
      }
      return Refused(absl::StrCat(Where(place.argument->spec.name, place.dimension), " must be as large as the batch (",
                                  Where(rows.argument->spec.name, rows.dimension),
                                  ") in the package: say batched = false"));
    }
    return absl::OkStatus();
  }

  static std::string NamesOf(const std::vector<Place>& places) {
    return absl::StrJoin(places, " and ", [](std::string* out, const Place& place) {
      absl::StrAppend(out, Where(place.argument->spec.name, place.dimension));
    });
  }

  const CompiledSource& source_;
  const Signature& signature_;
  const std::vector<Argument> arguments_;
  std::vector<Place> places_;
  size_t unknowns_ = 0;
  CompiledSignature fitted_;
};

}  // namespace

absl::StatusOr<CompiledSignature> FitSignature(const CompiledSource& source, const std::vector<SpecLeaf>& inputs,
                                               const std::vector<SpecLeaf>& outputs, const Signature& signature) {
  return Fitting(source, signature).Fit(inputs, outputs);
}

}  // namespace predictd
