#include "server/engine/job_tree.h"

#include "server/engine/job.h"

namespace predictd {
namespace {

bool Before(const Job& a, const Job& b) {
  return a.queued.order < b.queued.order;
}

// SplitMix64: neighbouring numbers get unrelated weights.
uint64_t Scramble(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// The operations on trees of one kind, using the links of that kind.
class Treap {
 public:
  explicit Treap(JobTreeKind kind) : kind_(static_cast<size_t>(kind)) {}

  JobTree::Links& LinksOf(Job& job) const { return job.queued.links[kind_]; }
  const JobTree::Links& LinksOf(const Job& job) const { return job.queued.links[kind_]; }

  int64_t RowsOf(const Job* tree) const { return tree == nullptr ? 0 : LinksOf(*tree).rows; }

  void Insert(Job*& tree, Job& job) const {
    JobTree::Links& links = LinksOf(job);
    if (tree == nullptr || links.weight > LinksOf(*tree).weight) {
      Split(tree, job, links.left, links.right);
      tree = &job;
    } else {
      Insert(Before(job, *tree) ? LinksOf(*tree).left : LinksOf(*tree).right, job);
    }
    SumRows(*tree);
  }

  void Erase(Job*& tree, Job& job) const {
    if (tree == &job) {
      tree = Join(LinksOf(job).left, LinksOf(job).right);
      return;
    }
    Erase(Before(job, *tree) ? LinksOf(*tree).left : LinksOf(*tree).right, job);
    SumRows(*tree);
  }

  void CopyTo(JobTree& other, Job* tree) const {
    if (tree == nullptr) return;
    CopyTo(other, LinksOf(*tree).left);
    other.Insert(*tree);
    CopyTo(other, LinksOf(*tree).right);
  }

 private:
  void SumRows(Job& top) const {
    JobTree::Links& links = LinksOf(top);
    links.rows = RowsOf(links.left) + top.request.rows + RowsOf(links.right);
  }

  // Splits the tree into the jobs before `at` and the others.
  void Split(Job* tree, const Job& at, Job*& before, Job*& after) const {
    if (tree == nullptr) {
      before = after = nullptr;
      return;
    }
    JobTree::Links& links = LinksOf(*tree);
    if (Before(*tree, at)) {
      Split(links.right, at, links.right, after);
      before = tree;
    } else {
      Split(links.left, at, before, links.left);
      after = tree;
    }
    SumRows(*tree);
  }

  // Every job in `before` must stand before every job in `after`.
  Job* Join(Job* before, Job* after) const {
    if (before == nullptr) return after;
    if (after == nullptr) return before;
    if (LinksOf(*before).weight > LinksOf(*after).weight) {
      LinksOf(*before).right = Join(LinksOf(*before).right, after);
      SumRows(*before);
      return before;
    }
    LinksOf(*after).left = Join(before, LinksOf(*after).left);
    SumRows(*after);
    return after;
  }

  const size_t kind_;
};

}  // namespace

int64_t JobTree::rows() const {
  return Treap(kind_).RowsOf(root_);
}

Job* JobTree::first() const {
  const Treap treap(kind_);
  Job* job = root_;
  while (job != nullptr && treap.LinksOf(*job).left != nullptr) job = treap.LinksOf(*job).left;
  return job;
}

int64_t JobTree::RowsBefore(const JobOrder& order) const {
  const Treap treap(kind_);
  int64_t rows = 0;
  const Job* job = root_;
  while (job != nullptr) {
    const Links& links = treap.LinksOf(*job);
    if (job->queued.order < order) {
      rows += treap.RowsOf(links.left) + job->request.rows;
      job = links.right;
    } else {
      job = links.left;
    }
  }
  return rows;
}

void JobTree::Insert(Job& job) {
  const Treap treap(kind_);
  treap.LinksOf(job) = {.weight = Scramble(job.queued.order.sequence)};
  treap.Insert(root_, job);
  ++size_;
}

void JobTree::Erase(Job& job) {
  Treap(kind_).Erase(root_, job);
  --size_;
}

void JobTree::CopyTo(JobTree& other) const {
  Treap(kind_).CopyTo(other, root_);
}

}  // namespace predictd
