package io.virtnvme.master.rpc;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.stream.Stream;

/**
 * An NVMe controller as it was asked for, and as it was found.
 *
 * @param name of the controller; its bdevs have names that begin with it
 * @param address PCI address with its domain
 * @param wasKernels whether a driver of the kernel had it, which gets it back
 * @param namespaces those that are bdevs; empty before it was found out
 * @param splits namespaces whose blocks are bdevs of their own
 */
public record NvmeControllerSpec(
    String name,
    String address,
    boolean wasKernels,
    List<Namespace> namespaces,
    List<Split> splits) {
  /**
   * A namespace that is a bdev.
   *
   * @param nsid its id, 1..0xFFFFFFFE, unsigned
   * @param uuid of the bdev
   * @param blockSize 512 or 4096
   * @param numBlocks at least 1
   */
  public record Namespace(int nsid, UUID uuid, int blockSize, long numBlocks) {}

  /**
   * A namespace whose blocks are several bdevs, one behind the other from block 0 on.
   *
   * @param nsid of the namespace
   * @param count of the parts, at least 1
   * @param sizeMib of a part as it was asked for; 0: as much as fits
   * @param numBlocks of a part
   */
  public record Split(int nsid, int count, long sizeMib, long numBlocks) {}

  /**
   * A run of blocks of a namespace that is a bdev.
   *
   * @param bdev name, length and what else is known
   * @param nsid of the namespace
   * @param firstBlock where it begins there
   */
  public record Part(BdevSpec bdev, int nsid, long firstBlock) {
    /** Whether a namespace still has it. */
    public boolean fits(final Namespace namespace) {
      return namespace.nsid() == nsid
          && namespace.blockSize() == bdev.blockSize()
          && namespace.numBlocks() >= firstBlock + bdev.numBlocks();
    }
  }

  public NvmeControllerSpec {
    namespaces = List.copyOf(namespaces);
    splits = List.copyOf(splits);
  }

  /** One whose namespaces are whole. */
  public NvmeControllerSpec(
      final String name,
      final String address,
      final boolean wasKernels,
      final List<Namespace> namespaces) {
    this(name, address, wasKernels, namespaces, List.of());
  }

  /** The same controller with what was found. */
  public NvmeControllerSpec with(final boolean nowWasKernels, final List<Namespace> found) {
    return new NvmeControllerSpec(name, address, nowWasKernels, found, splits);
  }

  /** The same controller with a namespace in parts. */
  public NvmeControllerSpec with(final Split split) {
    return new NvmeControllerSpec(
        name,
        address,
        wasKernels,
        namespaces,
        Stream.concat(splits.stream(), Stream.of(split)).toList());
  }

  /** The same controller with this one whole again. */
  public NvmeControllerSpec without(final Split split) {
    return new NvmeControllerSpec(
        name,
        address,
        wasKernels,
        namespaces,
        splits.stream().filter(other -> !other.equals(split)).toList());
  }

  /** Name of the bdev of a namespace, as SPDK makes it. */
  public String bdevName(final int nsid) {
    return name + "n" + Integer.toUnsignedString(nsid);
  }

  /** The namespace that is this bdev, or null. */
  public Namespace namespace(final String bdev) {
    for (final Namespace namespace : namespaces) {
      if (bdevName(namespace.nsid()).equals(bdev)) {
        return namespace;
      }
    }
    return null;
  }

  /** How the namespace that is this bdev is split, or null. */
  public Split split(final String bdev) {
    for (final Split split : splits) {
      if (bdevName(split.nsid()).equals(bdev)) {
        return split;
      }
    }
    return null;
  }

  /** The parts of a split, whose namespace there is, in the order of their blocks. */
  public List<Part> parts(final Split split) {
    final List<Part> parts = new ArrayList<>();
    for (final Namespace namespace : namespaces) {
      for (int i = 0; i < split.count() && namespace.nsid() == split.nsid(); i++) {
        final String part = bdevName(split.nsid()) + "p" + i;
        // The same after each start, so that a disk keeps what is known of it.
        final UUID uuid = UUID.nameUUIDFromBytes((namespace.uuid() + "|p" + i).getBytes(US_ASCII));
        parts.add(
            new Part(
                new BdevSpec(
                    part,
                    BdevMethod.NVME,
                    uuid,
                    namespace.blockSize(),
                    split.numBlocks(),
                    name,
                    false),
                split.nsid(),
                i * split.numBlocks()));
      }
    }
    return parts;
  }

  /** The parts of all splits. */
  public List<Part> parts() {
    return splits.stream().flatMap(split -> parts(split).stream()).toList();
  }

  /** The bdevs of its namespaces, and of their parts. */
  public List<BdevSpec> bdevs() {
    return Stream.concat(namespaces.stream().map(this::bdev), parts().stream().map(Part::bdev))
        .toList();
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
