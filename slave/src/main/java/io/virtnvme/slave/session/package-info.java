/**
 * What the front-end's messages mean: vhost-user sessions, their records, and the guest memory they
 * map. All of it runs on the slave's control thread; rings are started and stopped through {@link
 * io.virtnvme.slave.session.RingHost}.
 */
package io.virtnvme.slave.session;
