#ifndef PREDICTD_SERVER_ENGINE_JOB_TREE_H_
#define PREDICTD_SERVER_ENGINE_JOB_TREE_H_

#include <compare>
#include <cstddef>
#include <cstdint>

#include "server/async/clock.h"

namespace predictd {

class Job;

// A job's place among those that wait: the earlier `due` goes first, then the job that came first. Unique by
// `sequence`.
struct JobOrder {
  TimePoint due;
  uint64_t sequence = 0;
  auto operator<=>(const JobOrder&) const = default;
};

// The trees that a job may be in at once: its group's and its queue's.
enum class JobTreeKind : size_t { kGroup, kQueue };
inline constexpr size_t kJobTreeKinds = 2;

// Jobs in their order, with the number of rows before any place. It is a treap whose links are in the jobs, so that
// nothing is allocated. Insert, Erase and RowsBefore are O(log n) in expectation. Owns nothing; not thread-safe.
class JobTree {
 public:
  explicit JobTree(JobTreeKind kind) : kind_(kind) {}

  struct Links {
    Job* left = nullptr;
    Job* right = nullptr;
    // A parent's weight is the largest of its subtree. Weights are random, so that the tree is balanced.
    uint64_t weight = 0;
    // Rows of the whole subtree.
    int64_t rows = 0;
  };

  bool empty() const { return root_ == nullptr; }
  // Where searches begin; each job's links say where they continue.
  const Job* root() const { return root_; }
  size_t size() const { return size_; }
  int64_t rows() const;

  // The first job in order; null if the tree is empty.
  Job* first() const;
  // Rows of all jobs before that place.
  int64_t RowsBefore(const JobOrder& order) const;

  // The job must be in no tree of this kind, and its order must be set.
  void Insert(Job& job);
  // The job must be in this tree.
  void Erase(Job& job);
  // Puts all jobs of this tree into `other`, which is of another kind.
  void CopyTo(JobTree& other) const;

 private:
  const JobTreeKind kind_;
  Job* root_ = nullptr;
  size_t size_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_JOB_TREE_H_
