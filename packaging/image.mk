# SPDX-License-Identifier: MIT OR GPL-2.0-only
# Container images: archives, and into Docker where there is one.

IMAGES := $(addprefix $B/images/,guideway.tar replica.tar redis.tar)

image: ## container images: guideway, replica, guideway-redis; into Docker where it runs
	@$(MAKE) --no-print-directory deps PACKAGES='$(PACKAGES) busybox-static binutils'
	@$(MAKE) --no-print-directory all $(IMAGES)
	@if docker info >/dev/null 2>&1; then for i in $(IMAGES); do docker load -qi $$i || exit 1; done; \
	else echo "  no Docker here: the archives are in $B/images"; fi

$B/images/guideway.tar: $B/lbd $B/lbctl k8s/make-image VERSION
	@k8s/make-image $@ guideway:$(VERSION) 0 /usr/sbin/lbd $B/lbd=/usr/sbin/lbd $B/lbctl=/usr/bin/lbctl /bin/busybox

$B/images/replica.tar: $B/replica k8s/make-image VERSION
	@k8s/make-image $@ replica:$(VERSION) 65534 /usr/bin/replica $B/replica=/usr/bin/replica

# For the demo application with a database; Debian's, as the lab runs it.
$B/images/redis.tar: k8s/make-image VERSION
	@k8s/make-image $@ guideway-redis:$(VERSION) 65534 /usr/bin/redis-server /usr/bin/redis-check-rdb=/usr/bin/redis-server /usr/bin/redis-cli

.PHONY: image
