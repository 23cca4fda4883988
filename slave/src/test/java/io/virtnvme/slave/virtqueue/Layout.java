package io.virtnvme.slave.virtqueue;

import io.virtnvme.ipc.virtio.VirtioFeature;

/** The ring layouts that every behaviour is tested with. */
enum Layout {
  SPLIT(false, 0),
  SPLIT_INDIRECT(false, VirtioFeature.of(VirtioFeature.RING_INDIRECT_DESC)),
  SPLIT_EVENT_INDEX(false, VirtioFeature.of(VirtioFeature.RING_EVENT_IDX)),
  PACKED(true, 0),
  PACKED_INDIRECT(true, VirtioFeature.of(VirtioFeature.RING_INDIRECT_DESC)),
  PACKED_EVENT_INDEX(true, VirtioFeature.of(VirtioFeature.RING_EVENT_IDX));

  final boolean packed;
  final long features;

  Layout(final boolean packed, final long features) {
    this.packed = packed;
    this.features = features;
  }

  boolean hasEventIndex() {
    return VirtioFeature.has(features, VirtioFeature.RING_EVENT_IDX);
  }

  Rig started(final int queueSize, final TestDisk disk) {
    return Rig.started(packed, queueSize, features, disk);
  }
}
