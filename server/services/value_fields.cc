#include "server/services/value_fields.h"

#include "server/model/element_types.h"

namespace predictd {

std::string FieldName(ValueField field) {
  return v1::Tensor::descriptor()->FindFieldByNumber(static_cast<int>(field))->name();
}

ValueField FieldOf(DType dtype) {
  return VisitElementType(dtype, ValueField::kBytes,
                          [](auto type) { return FieldFor<typename decltype(type)::Number>().field; });
}

}  // namespace predictd
