package io.virtnvme.slave.nvme;

import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.bdev.RateGate;
import io.virtnvme.slave.bdev.ReactorIo;
import java.util.List;

/**
 * The namespaces of a controller as one reactor drives them, by id. Replaced whole; one reactor
 * thread.
 */
final class NamespaceChannels {
  private final BlockChannel[] channels;
  private final int[] blockShifts;
  private final boolean[] readOnly;
  private final DiskCounters[] counters;
  private final RateGate.Place[] rates;
  private final RateGate.Place[] presentRates;

  NamespaceChannels(
      final List<NamespaceVolume> volumes, final int namespaceIdMax, final ReactorIo io) {
    channels = new BlockChannel[namespaceIdMax + 1];
    blockShifts = new int[namespaceIdMax + 1];
    readOnly = new boolean[namespaceIdMax + 1];
    counters = new DiskCounters[namespaceIdMax + 1];
    rates = new RateGate.Place[namespaceIdMax + 1];
    presentRates = new RateGate.Place[volumes.size()];
    int present = 0;
    for (final NamespaceVolume volume : volumes) {
      final int id = volume.namespace().id();
      channels[id] = volume.bdev().channel(io);
      blockShifts[id] = Integer.numberOfTrailingZeros(channels[id].blockBytes());
      readOnly[id] = volume.namespace().isReadOnly();
      counters[id] = new DiskCounters(volume.countersAddress());
      rates[id] = volume.bdev().limits().gate(io).place();
      presentRates[present++] = rates[id];
    }
  }

  /** Whether the id is one that a namespace could have. */
  boolean isValid(final int id) {
    return id > 0 && id < channels.length;
  }

  /** The disk of a namespace with a valid id, or null when there is none. */
  BlockChannel channel(final int id) {
    return channels[id];
  }

  int blockShift(final int id) {
    return blockShifts[id];
  }

  boolean isReadOnly(final int id) {
    return readOnly[id];
  }

  /** Counters of a namespace that is there. */
  DiskCounters counters(final int id) {
    return counters[id];
  }

  /** Whether any disk is limited. */
  boolean isLimited() {
    for (final RateGate.Place rate : presentRates) {
      if (rate.isLimited()) {
        return true;
      }
    }
    return false;
  }

  /** The place at the gate of a limited namespace; null for any other id, valid or not. */
  RateGate.Place limitedRate(final int id) {
    if (!isValid(id) || rates[id] == null || !rates[id].isLimited()) {
      return null;
    }
    return rates[id];
  }

  /** The first namespace with an id of at least {@code id}, or 0. */
  int nextActive(final int id) {
    for (int next = id; next < channels.length; next++) {
      if (channels[next] != null) {
        return next;
      }
    }
    return 0;
  }
}
