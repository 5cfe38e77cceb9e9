#ifndef PREDICTD_SERVER_ASYNC_INDEXED_HEAP_H_
#define PREDICTD_SERVER_ASYNC_INDEXED_HEAP_H_

#include <cstddef>
#include <utility>
#include <vector>

namespace predictd {

// The index of an element that is in no heap.
inline constexpr size_t kNotInHeap = static_cast<size_t>(-1);

// A binary min-heap of pointers. The elements keep their index in it, so that any of them can be removed in O(log n).
//
// `Traits` has `static bool Less(const T& a, const T& b)` and `static size_t& Index(T& element)`, where T is what
// Pointer points to. An element starts with the index kNotInHeap and is in at most one heap. Not thread-safe.
template <class Pointer, class Traits>
class IndexedHeap {
 public:
  bool empty() const { return elements_.empty(); }
  size_t size() const { return elements_.size(); }
  const Pointer& top() const { return elements_.front(); }

  // Makes sure that the next Push does not allocate.
  void ReserveOneMore() {
    // This is not reserve(size + 1), which would copy everything for each element.
    if (elements_.size() == elements_.capacity()) elements_.reserve(2 * elements_.size() + 1);
  }

  void Push(Pointer element) {
    elements_.push_back(std::move(element));
    SiftUp(elements_.size() - 1);
  }

  // Removes an element that is in this heap and returns it.
  Pointer Remove(size_t index) {
    Pointer removed = std::move(elements_[index]);
    Traits::Index(*removed) = kNotInHeap;
    Pointer last = std::move(elements_.back());
    elements_.pop_back();
    if (index < elements_.size()) {
      elements_[index] = std::move(last);
      SiftDown(SiftUp(index));
    }
    return removed;
  }

  Pointer Pop() { return Remove(0); }

 private:
  size_t SiftUp(size_t index) {
    Pointer element = std::move(elements_[index]);
    while (index > 0) {
      const size_t parent = (index - 1) / 2;
      if (!Traits::Less(*element, *elements_[parent])) break;
      Place(index, std::move(elements_[parent]));
      index = parent;
    }
    Place(index, std::move(element));
    return index;
  }

  void SiftDown(size_t index) {
    Pointer element = std::move(elements_[index]);
    while (true) {
      size_t child = 2 * index + 1;
      if (child >= elements_.size()) break;
      if (child + 1 < elements_.size() && Traits::Less(*elements_[child + 1], *elements_[child])) ++child;
      if (!Traits::Less(*elements_[child], *element)) break;
      Place(index, std::move(elements_[child]));
      index = child;
    }
    Place(index, std::move(element));
  }

  void Place(size_t index, Pointer element) {
    Traits::Index(*element) = index;
    elements_[index] = std::move(element);
  }

  std::vector<Pointer> elements_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_INDEXED_HEAP_H_
