package io.virtnvme.master.rpc;

import java.util.List;

/**
 * Which of SPDK's create methods made a bdev; the configuration is written with the same one. The
 * kinds differ less than SPDK's: {@code aio} and {@code uring} are one back-end here.
 */
public enum BdevMethod {
  MALLOC("malloc", BdevKind.MEM, "Malloc disk"),
  URING("uring", BdevKind.URING, "URING bdev"),
  AIO("aio", BdevKind.URING, "AIO disk"),
  NULL("null", BdevKind.NULL, "Null disk"),
  /** There is no such method: bdevs come with their controller. */
  NVME("nvme", BdevKind.NVME, "NVMe disk");

  /** Those that can be called. */
  public static final List<BdevMethod> CALLABLE = List.of(MALLOC, URING, AIO, NULL);

  private final String word;
  private final BdevKind kind;
  private final String productName;

  BdevMethod(final String word, final BdevKind kind, final String productName) {
    this.word = word;
    this.kind = kind;
    this.productName = productName;
  }

  /** The word in the method's name: {@code bdev_<word>_create}. */
  public String word() {
    return word;
  }

  /** The kind of bdev that it makes. */
  public BdevKind kind() {
    return kind;
  }

  /** What {@code bdev_get_bdevs} says as {@code product_name}. */
  public String productName() {
    return productName;
  }
}
