/// How many tokens two texts begin with in common. O(that).
package func commonLength(_ a: [TokenID], _ b: [TokenID]) -> Int {
  let limit = min(a.count, b.count)
  return a.withUnsafeBufferPointer { a in
    b.withUnsafeBufferPointer { b in
      var index = 0
      while index < limit, a[index] == b[index] { index += 1 }
      return index
    }
  }
}
