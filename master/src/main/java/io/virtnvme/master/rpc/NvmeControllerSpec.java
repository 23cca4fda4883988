package io.virtnvme.master.rpc;

import java.util.List;
import java.util.UUID;

/**
 * An NVMe controller as it was asked for, and as it was found.
 *
 * @param name of the controller; its bdevs have names that begin with it
 * @param address PCI address with its domain
 * @param wasKernels whether a driver of the kernel had it, which gets it back
 * @param namespaces those that are bdevs; empty before it was found out
 */
public record NvmeControllerSpec(
    String name, String address, boolean wasKernels, List<Namespace> namespaces) {
  /**
   * A namespace that is a bdev.
   *
   * @param nsid its id, 1..0xFFFFFFFE, unsigned
   * @param uuid of the bdev
   * @param blockSize 512 or 4096
   * @param numBlocks at least 1
   */
  public record Namespace(int nsid, UUID uuid, int blockSize, long numBlocks) {}

  public NvmeControllerSpec {
    namespaces = List.copyOf(namespaces);
  }

  /** The same controller with what was found. */
  public NvmeControllerSpec with(final boolean nowWasKernels, final List<Namespace> found) {
    return new NvmeControllerSpec(name, address, nowWasKernels, found);
  }

  /** Name of the bdev of a namespace, as SPDK makes it. */
  public String bdevName(final int nsid) {
    return name + "n" + Integer.toUnsignedString(nsid);
  }

  /** The bdevs of its namespaces. */
  public List<BdevSpec> bdevs() {
    return namespaces.stream().map(this::bdev).toList();
  }

  private BdevSpec bdev(final Namespace namespace) {
    return new BdevSpec(
        bdevName(namespace.nsid()),
        BdevMethod.NVME,
        namespace.uuid(),
        namespace.blockSize(),
        namespace.numBlocks(),
        name,
        false);
  }
}
