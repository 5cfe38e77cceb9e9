#include "server/async/indexed_heap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace predictd {
namespace {

struct Item {
  explicit Item(int key) : key(key) {}
  int key;
  size_t index = kNotInHeap;
};

struct ByKey {
  static bool Less(const Item& a, const Item& b) { return a.key < b.key; }
  static size_t& Index(Item& item) { return item.index; }
};

using Heap = IndexedHeap<Item*, ByKey>;

TEST(IndexedHeapTest, PopsInOrder) {
  std::vector<Item> items;
  for (int key : {5, 3, 9, 1, 7, 3, 8}) items.emplace_back(key);
  Heap heap;
  for (Item& item : items) heap.Push(&item);
  std::vector<int> popped;
  while (!heap.empty()) popped.push_back(heap.Pop()->key);
  EXPECT_EQ(popped, (std::vector<int>{1, 3, 3, 5, 7, 8, 9}));
}

TEST(IndexedHeapTest, TopIsTheSmallestAndStays) {
  Item big(2);
  Item small(1);
  Heap heap;
  heap.Push(&big);
  heap.Push(&small);
  EXPECT_EQ(heap.top(), &small);
  EXPECT_EQ(heap.size(), 2U);
}

TEST(IndexedHeapTest, ElementKnowsWhetherItIsIn) {
  Item item(1);
  Heap heap;
  EXPECT_EQ(item.index, kNotInHeap);
  heap.Push(&item);
  EXPECT_EQ(item.index, 0U);
  EXPECT_EQ(heap.Remove(item.index), &item);
  EXPECT_EQ(item.index, kNotInHeap);
  EXPECT_TRUE(heap.empty());
}

// The element that fills the hole may have to move up as well as down.
TEST(IndexedHeapTest, RemovalMovesTheLastElementUpWhereNeeded) {
  std::vector<Item> items;
  // The keys are given level by level: the last one, 3, is smaller than 20, the parent of the hole that 21 leaves.
  for (int key : {1, 20, 2, 21, 22, 4, 3}) items.emplace_back(key);
  Heap heap;
  for (Item& item : items) heap.Push(&item);
  heap.Remove(items[3].index);
  std::vector<int> popped;
  while (!heap.empty()) popped.push_back(heap.Pop()->key);
  EXPECT_EQ(popped, (std::vector<int>{1, 2, 3, 4, 20, 22}));
}

TEST(IndexedHeapTest, HoldsSharedOwnersAndLetsThemGo) {
  auto item = std::make_shared<Item>(1);
  IndexedHeap<std::shared_ptr<Item>, ByKey> heap;
  heap.Push(item);
  heap.Push(std::make_shared<Item>(0));
  EXPECT_EQ(item.use_count(), 2);
  heap.Remove(item->index);
  EXPECT_EQ(item.use_count(), 1);
  EXPECT_EQ(heap.Pop()->key, 0);
}

// Whatever is pushed, popped and removed at random, the heap holds what a multimap holds, in the same order, and every
// element's index leads to it.
class IndexedHeapProperty : public testing::TestWithParam<uint32_t> {};

TEST_P(IndexedHeapProperty, BehavesLikeAMultimap) {
  SCOPED_TRACE(testing::Message() << "seed " << GetParam());
  std::mt19937 random(GetParam());
  const auto key_range = static_cast<int>(1 + random() % 200);
  std::vector<std::unique_ptr<Item>> owned;
  std::multimap<int, Item*> model;
  Heap heap;
  const auto forget = [&model](Item* item) {
    const auto [begin, end] = model.equal_range(item->key);
    model.erase(std::find_if(begin, end, [item](const auto& entry) { return entry.second == item; }));
  };
  for (int step = 0; step < 3000; ++step) {
    const uint32_t choice = random() % 8;
    if (choice < 4 || model.empty()) {
      owned.push_back(std::make_unique<Item>(static_cast<int>(random() % key_range)));
      heap.Push(owned.back().get());
      model.emplace(owned.back()->key, owned.back().get());
    } else if (choice < 6) {
      Item* popped = heap.Pop();
      ASSERT_EQ(popped->key, model.begin()->first);
      ASSERT_EQ(popped->index, kNotInHeap);
      forget(popped);
    } else {
      Item* item = std::next(model.begin(), static_cast<int>(random() % model.size()))->second;
      ASSERT_EQ(heap.Remove(item->index), item);
      ASSERT_EQ(item->index, kNotInHeap);
      forget(item);
    }
    ASSERT_EQ(heap.size(), model.size());
    if (!model.empty()) {
      ASSERT_EQ(heap.top()->key, model.begin()->first);
    }
  }
  while (!model.empty()) {
    Item* popped = heap.Pop();
    ASSERT_EQ(popped->key, model.begin()->first);
    forget(popped);
  }
  EXPECT_TRUE(heap.empty());
}

INSTANTIATE_TEST_SUITE_P(Seeds, IndexedHeapProperty, testing::Range(1U, 21U));

}  // namespace
}  // namespace predictd
